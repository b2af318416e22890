"""The lines of an instance's log, and what stands for its standard streams."""

import json
import logging
import threading
from datetime import UTC, datetime

import pytest
from magnetar_instance.logs import DATE_FORMAT, FORMAT, formatter, line_stream

MOMENTS = (1700000000.25, 1700000000.999, 1700000001.5, 1699999999.0)


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def record(created: float) -> logging.LogRecord:
    made = logging.LogRecord("f", logging.INFO, "/x/code.py", 7, "said %s", ("it",), None)
    made.created = created
    return made


def test_times_are_those_of_their_records() -> None:
    """Whatever second the record before was of: logging's own formatter tells the same."""
    text, lines = formatter("text"), formatter("json")
    usual = logging.Formatter(FORMAT, DATE_FORMAT)
    for moment in MOMENTS:
        assert text.format(record(moment)) == usual.format(record(moment))
        told = json.loads(lines.format(record(moment)))["time"]
        assert told == datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def test_each_line_is_a_record() -> None:
    """However its parts came: printed, as bytes, in pieces of a character; a flush ends what has not ended."""
    logger, kept = logging.Logger("f"), Kept()  # noqa: LOG001
    logger.addHandler(kept)
    stream = line_stream(logger, logging.INFO, None)
    print("one", 2, "three  ", file=stream)
    print("four\nfive\n\nsix", end="", file=stream)
    stream.buffer.write(" and \N{EURO SIGN}".encode()[:-1])
    stream.buffer.write("\N{EURO SIGN}".encode()[-1:])
    print(" seven", end="", file=stream)
    assert kept.messages == ["one 2 three", "four", "five"]
    stream.flush()
    stream.writelines(["ei", "ght\n"])
    stream.buffer.write(b"ni\xffne\nten")
    stream.buffer.flush()
    stream.flush()
    assert kept.messages[3:] == ["six and \N{EURO SIGN} seven", "eight", "ni\ufffdne", "ten"]
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]


def test_lines_below_the_level_are_dropped() -> None:
    """What is printed is of the stream's level."""
    logger, kept = logging.Logger("f", logging.WARNING), Kept()  # noqa: LOG001
    logger.addHandler(kept)
    for level in (logging.INFO, logging.ERROR):
        print(level, file=line_stream(logger, level, None))
    assert kept.messages == [str(logging.ERROR)]


def test_lines_of_threads_do_not_mix() -> None:
    """Each thread has its own unfinished line."""
    logger, kept = logging.Logger("f"), Kept()  # noqa: LOG001
    logger.addHandler(kept)
    stream = line_stream(logger, logging.INFO, None)
    stream.write("mine ")
    other = threading.Thread(target=lambda: print("yours", file=stream))
    other.start()
    other.join()
    stream.write("too\n")
    assert kept.messages == ["yours", "mine too"]
