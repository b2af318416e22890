"""The time and level of log lines, whoever wrote them, and what of a log is wanted. Pure.

Known are the records of Python instances (text and JSON lines), of Pulsar's log4j and of its Go library. A line that begins
no record belongs to the one above it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_PYTHON = re.compile(r"\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\] \[(?P<level>[A-Z]+)\]")
_JAVA = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,]\d{3}(?:Z|[+-]\d{2}:?\d{2})) \[.*?\] (?P<level>[A-Z]+) "
)
_GO = re.compile(r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?) .{0,200}?\[(?P<level>[a-z]+)\]")
_GO_CLIENT = re.compile(r'time="(?P<time>[^"]+)" level=(?P<level>[a-z]+)')
_TEXTS = (_PYTHON, _JAVA, _GO, _GO_CLIENT)
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "WARN": 30,
    "WARNING": 30,
    "ERROR": 40,
    "FATAL": 50,
    "PANIC": 50,
    "CRITICAL": 50,
}
"""The names of levels in all languages; a higher number is worse."""
_UNKNOWN = LEVELS["INFO"]


@dataclass(frozen=True)
class Record:
    """What the first line of a record tells; `time` is in seconds since the epoch, None where it can't be read."""

    time: float | None
    level: int


def record_of(line: str) -> Record | None:
    """Return what a line tells as the beginning of a record, None where it begins none."""
    if line.startswith("{"):
        return _of_json(line)
    for form in _TEXTS:
        if found := form.match(line):
            return Record(_seconds(found["time"]), LEVELS.get(found["level"].upper(), _UNKNOWN))
    return None


def _of_json(line: str) -> Record | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if "time" not in found or "level" not in found:
        return None
    return Record(_seconds(str(found["time"])), LEVELS.get(str(found["level"]).upper(), _UNKNOWN))


def _seconds(text: str) -> float | None:
    """Read a time; one without an offset is this host's (Go's library tells none)."""
    try:
        return datetime.fromisoformat(text.replace("/", "-").replace(",", ".")).timestamp()
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").timestamp()
    except ValueError:
        return None


def since_when(text: str, now: datetime | None = None) -> float:
    """Return the seconds since the epoch that `10m`, `2h` or a time in ISO 8601 means. Raises ValueError."""
    now = now or datetime.now(UTC)
    if found := _DURATION.fullmatch(text.strip()):
        return (now - timedelta(**{_UNITS[found["unit"]]: float(found["number"])})).timestamp()
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither a duration (30s, 10m, 2h, 1d) nor a time in ISO 8601") from None
    return when.timestamp()


@dataclass(frozen=True)
class Wanted:
    """Which lines are wanted: of records at or after `since` (seconds since the epoch), of at least a level."""

    since: float | None = None
    level: int = 0

    @property
    def everything(self) -> bool:
        """Whether no line is left out."""
        return self.since is None and not self.level


@dataclass
class Sieve:
    """Lets the wanted lines of one log through, line after line in the order that they were written.

    Lines before the first record are of unknown time and of level INFO.
    """

    wanted: Wanted
    _record: Record = field(default=Record(None, _UNKNOWN))

    def lets_through(self, line: str) -> bool:
        """Whether a line is wanted."""
        if self.wanted.everything:
            return True
        self._record = record_of(line) or self._record
        late_enough = self.wanted.since is None or self._record.time is None or self._record.time >= self.wanted.since
        return late_enough and self._record.level >= self.wanted.level

    def of(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the wanted lines."""
        return (line for line in lines if self.lets_through(line))
