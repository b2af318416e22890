"""What Go and Java instances write, rotated in place under them, through deaths of the worker and of the instance."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from magnetar.log_files.head import head_of
from magnetar.log_files.names import rotated
from magnetar.log_files.reading import last_lines
from magnetar.log_files.rotation import recover
from magnetar.processes.identity import Identity
from mixed import create_in, eventually, exchange, instance_of, post
from requirements import requires
from standalone import Standalone, running, until
from surviving import kill, surviving
from toolchains import CACHE, go_examples, java_installation

pytestmark = pytest.mark.timeout(300)
EACH = 300
LINES = {"go": re.compile(r"^\S+ .*\bexclaimed\b.*\blength=(\d+)$"), "java": re.compile(r"^.*\bprinted (x+)$")}


@pytest.mark.parametrize(
    "language",
    [
        pytest.param("go", marks=requires("go")),
        pytest.param("java", marks=[requires("java"), requires("maven")]),
    ],
)
def test_lines_are_whole_and_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """Each line once through rotations and the worker's death; after the instance's own death none is missing or cut."""
    if language == "java":
        java_installation()
        monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    monkeypatch.setenv("MAGNETAR_logs_maxBytes", "8192")
    monkeypatch.setenv("MAGNETAR_logs_files", "90")
    with surviving(tmp_path) as worker:
        name = create_in(worker, language)
        before = running(worker, 1)[f"public/default/{name}:0"]
        log = Path(before["logFile"]).with_suffix(".out" if language == "java" else ".log")
        say(worker, name, log, 1)
        kill(worker)
        worker.start()
        assert running(worker, 1)[f"public/default/{name}:0"]["pid"] == before["pid"]
        say(worker, name, log, 1 + EACH)
        assert lengths(log, language) == list(range(1, 1 + 2 * EACH))
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: (instance_of(worker, name) or {})["restarts"] == 1, "its death was not seen")
        say(worker, name, log, 1 + 2 * EACH)
        assert sorted(set(lengths(log, language))) == list(range(1, 1 + 3 * EACH))


TALKS = """
import os

def process(input, context):
    number = 0
    while True:
        line = f"said {number:08} {number:060}"
        if number % 3 == 0:
            context.get_logger().info(line)
        elif number % 3 == 1:
            print("said", f"{number:08} {number:060}")
        else:
            os.write(1, (line + "\\n").encode())
        number += 1
"""
SAID = re.compile(rb"said (\d{8}) (\d{60})$")


@pytest.mark.parametrize("language", ["python", pytest.param("go", marks=requires("go"))])
def test_nothing_is_lost_as_fast_as_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """A function that does nothing but write, by each way there is: ten rotations, two deaths of the worker, its own."""
    monkeypatch.setenv("MAGNETAR_logs_maxBytes", "1000000")
    monkeypatch.setenv("MAGNETAR_logs_files", "900")
    with surviving(tmp_path) as worker:
        if language == "go":
            answer = post(
                worker, "talks", "chatty", (go_examples() / "chatty").read_bytes(), {"go": "chatty", "runtime": "GO"}
            )
        else:
            answer = worker.create("talks", TALKS, {"inputs": ["talks-in"], "output": "talks-out"})
        assert answer.status_code == 204, answer.text
        before = running(worker, 1)["public/default/talks:0"]
        log, begun = Path(before["logFile"]), time.monotonic()
        worker.client.create_producer("talks-in").send(b"go")
        eventually(lambda: rotations(log) >= 10, lambda: str(sorted(log.parent.iterdir())))
        kill(worker)
        worker.start()
        assert running(worker, 1)["public/default/talks:0"]["pid"] == before["pid"]
        already = rotations(log)
        eventually(lambda: rotations(log) >= already + 3, lambda: str(sorted(log.parent.iterdir())))
        kill(worker)
        writer = Identity.of(before["pid"])
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: not writer.alive, "the instance goes on")
        passed = time.monotonic() - begun
        recover(log, 900)
        found = numbers_in(log)
        print(f"{language}: {len(found) / passed:.0f} lines a second through {rotations(log)} rotations")
        assert found == list(range(len(found)))


def numbers_in(log: Path) -> list[int]:
    """Return what was written, sorted; a line that is not whole fails the test, unless it is the last of all."""
    found = []
    # A worker that was killed as it rotated may have left no log: the instance was not told to open it anew.
    for file in (*filter(Path.exists, (log,)), *(each.path for each in rotated(log))):
        with file.open("rb") as opened:
            opened.seek(head_of(opened.fileno()).offset)
            lines = opened.read().split(b"\n")
        for line in lines[:-1]:
            if match := SAID.search(line):
                assert int(match[1]) == int(match[2]), line
                found.append(int(match[1]))
            else:
                assert b"said" not in line, line
                assert b"0000000" not in line, line
        assert lines[-1] == b"" or file == log
    return sorted(found)


def say(worker: Standalone, name: str, log: Path, first: int) -> None:
    """Have the function write of texts that are longer and longer, until its log has been rotated once more."""
    before = rotations(log)
    exchange(worker, name, *("x" * length for length in range(first, first + EACH)), count=EACH)
    eventually(lambda: rotations(log) > before, lambda: str(sorted(log.parent.iterdir())))


def rotations(log: Path) -> int:
    return len(list(log.parent.glob(f"{log.name}.*")))


def lengths(log: Path, language: str) -> list[int]:
    """Return what the function wrote; a line of its that is not whole fails the test."""
    found = []
    for line in last_lines(log, 10**6):
        match = LINES[language].match(line)
        if match is not None:
            found.append(len(match[1]) if language == "java" else int(match[1]))
        else:
            assert "exclaimed" not in line, line
            assert "printed" not in line, line
            assert "xxx" not in line, line
    return found
