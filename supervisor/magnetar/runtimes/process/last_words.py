"""What an ended instance said that tells why, and whether another start could end otherwise. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CANNOT_RUN = 127
"""The exit code of a command that could not be run."""
BAD_CONFIGURATION = 78
"""The exit code of an instance of ours whose configuration is at fault (EX_CONFIG)."""
_TOLD = 10
_FRAME = re.compile(r"^\s*(?:at |\.\.\. \d+ more)")
_RECORD = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* \[.*?\] (?P<level>[A-Z]+) ")
_PRINTED = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* \[.*?\] INFO  std(?:out|err) - ")
"""What stands before printed lines: they are read as they were printed."""
_SMALL_TALK = re.compile(
    r"^(?:Using function|Starting function|INFO: |\w{3} \d+, \d{4} )|^Error: (?:Could not create|A fatal exception)"
)
_NO_MACHINE = re.compile(
    r"^(?:Error: Could not create the Java Virtual Machine|Error occurred during initialization of VM)"
)
_PASSING = re.compile(r"reserve enough space|insufficient memory|allocate memory", re.IGNORECASE)
_FOR_EVER = re.compile(
    r"User class must|picocli\.CommandLine|ParameterException|"
    r"java\.lang\.(?:ClassNotFoundException|NoClassDefFoundError|UnsupportedClassVersionError|NoSuchMethodException)|NoSuchTypeException|typeArgsList"
)


@dataclass(frozen=True)
class LastWords:
    """`lines` tell why it ended; `final` means that every other start of the same package and config ends alike."""

    lines: tuple[str, ...]
    final: bool = False


Reader = Callable[[int | None, Sequence[str]], LastWords]
"""Takes an exit code (None after a signal) and the last lines of output and log."""


def plain(code: int | None, lines: Sequence[str]) -> LastWords:
    """Return the last lines as they are; what could not be run, or was configured wrongly, is final."""
    return LastWords(tuple(lines[-_TOLD:]), final=code in (CANNOT_RUN, BAD_CONFIGURATION))


def of_java(code: int | None, lines: Sequence[str]) -> LastWords:
    """Return what the JVM or the last error in the log says, without stack frames.

    Pulsar's instance ends with exit code 0 when its function thread died, and goes on logging: the cause stands above.
    """
    if code == CANNOT_RUN:
        return plain(code, lines)
    lines = [_PRINTED.sub("", line) for line in lines]
    if any(_NO_MACHINE.match(line) for line in lines):
        said = tuple(line for line in lines if not _SMALL_TALK.match(line))[:_TOLD]
        return LastWords(said, final=not any(_PASSING.search(line) for line in said))
    error = _last_error(lines)
    if not error:
        return LastWords(tuple(line for line in lines if not _SMALL_TALK.match(line))[-_TOLD:])
    return LastWords(error[:_TOLD], final=any(_FOR_EVER.search(line) for line in error))


def _last_error(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the last ERROR record of log4j with its exceptions, or the exception that ended the starter itself."""
    begins = [
        at for at, line in enumerate(lines) if _level(line) in {"ERROR", "FATAL"} or line.startswith("Failed to start")
    ]
    if not begins:
        return ()
    rest = lines[begins[-1] + 1 :]
    end = next((at for at, line in enumerate(rest) if _level(line)), len(rest))
    return tuple(line for line in (lines[begins[-1]], *rest[:end]) if not _FRAME.match(line))


def _level(line: str) -> str:
    found = _RECORD.match(line)
    return found.group("level") if found else ""
