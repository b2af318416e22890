import contextvars
import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from magnetar_instance.thread_output import FunctionOutput, ThreadOutput


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[tuple[FunctionOutput, FunctionOutput]]:
    made = FunctionOutput(tmp_path / "a/a-0.log", "a"), FunctionOutput(tmp_path / "b/b-0.log", "b")
    yield made
    for each in made:
        each.close()


def in_thread(output: FunctionOutput, text: str) -> None:
    def work() -> None:
        with output.captured():
            print(text)
            print(f"{text} error", file=sys.stderr)
            logging.getLogger("some.module").info("%s record", text)
            output.logger.info("%s own", text)

    thread = (
        threading.Thread(target=work, context=contextvars.Context())
        if sys.version_info >= (3, 14)
        else (threading.Thread(target=work))
    )
    thread.start()
    thread.join()


def test_each_functions_output_goes_to_its_own_file(
    outputs: tuple[FunctionOutput, FunctionOutput], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints and records of two threads do not meet, nor reach the process's own output."""
    with ThreadOutput():
        in_thread(outputs[0], "first")
        in_thread(outputs[1], "second")
        print("process")
    first = (tmp_path / "a/a-0.log").read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in first] == ["first", "first error", "first record", "first own"]
    assert [line.split("] [")[1].split("]")[0] for line in first] == ["INFO", "ERROR", "INFO", "INFO"]
    assert "first" not in (tmp_path / "b/b-0.log").read_text()
    assert capsys.readouterr().out == "process\n"


def test_everything_is_put_back(outputs: tuple[FunctionOutput, FunctionOutput]) -> None:
    """After the last leaves, streams, handlers, filters and levels are those from before."""
    root = logging.getLogger()
    before = (sys.stdout, sys.stderr, list(root.handlers), [list(h.filters) for h in root.handlers], root.level)
    both = ThreadOutput()
    with both:
        with both:
            assert sys.stdout is not before[0]
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr, list(root.handlers), [list(h.filters) for h in root.handlers], root.level) == before


def test_the_processs_own_handlers_keep_their_level(outputs: tuple[FunctionOutput, FunctionOutput]) -> None:
    """A handler of the process sees neither functions' records nor what the root's level kept from it before."""
    root, stream = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(stream)
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.WARNING)
    try:
        with ThreadOutput():
            in_thread(outputs[0], "function")
            logging.getLogger("quiet").info("hidden")
            logging.getLogger("loud").warning("shown")
            logging.getLogger("explicit").setLevel(logging.INFO)
            logging.getLogger("explicit").info("wanted")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.getLogger("explicit").setLevel(logging.NOTSET)
    assert stream.getvalue() == "shown\nwanted\n"


def test_a_reopened_file_takes_what_comes_after(outputs: tuple[FunctionOutput, FunctionOutput], tmp_path: Path) -> None:
    """Renamed and reopened, the old file keeps the old lines and a new one gets the new."""
    output, path = outputs[0], tmp_path / "a/a-0.log"
    output.logger.info("old")
    path.rename(tmp_path / "old.log")
    output.file.reopen()
    output.logger.info("new")
    assert (tmp_path / "old.log").read_text().endswith(": old\n")
    assert path.read_text().endswith(": new\n")


def test_a_level_that_is_set_counts_whatever_was_logged_before(
    outputs: tuple[FunctionOutput, FunctionOutput], tmp_path: Path
) -> None:
    """What was dropped is logged from then on, and what was logged is dropped."""
    logger = outputs[0].logger
    for level, text in ((logging.INFO, "first"), (logging.DEBUG, "second"), (logging.WARNING, "third")):
        logger.setLevel(level)
        logger.debug("%s debug", text)
        logger.info("%s info", text)
    found = [line.split(": ", 1)[1] for line in (tmp_path / "a/a-0.log").read_text().splitlines()]
    assert found == ["first info", "second debug", "second info"]
