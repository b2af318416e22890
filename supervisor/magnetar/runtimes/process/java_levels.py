"""The log level of a running Java instance: a second file of log4j's configuration, which log4j looks at again and again."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

_LOOKS_EVERY = 5
"""Seconds between log4j's looks at the file."""
_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


def levels_file(log_file: Path) -> Path:
    """Return where the level of an instance's log is kept while it runs."""
    return log_file.with_name(f".{log_file.stem}.levels.xml")


def write_level(file: Path, level: str | None) -> None:
    """Write a level, or that the first file's stands. Raises OSError.

    The function may write to the directory: the file is made anew, so that no link of the function's is followed.
    """
    root = f'<Loggers><Root level="{_NAMES.get(level, level)}"/></Loggers>' if level else ""
    descriptor, path = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with os.fdopen(descriptor, "w") as made:
            made.write(f'<Configuration monitorInterval="{_LOOKS_EVERY}">{root}</Configuration>\n')
        Path(path).chmod(0o644)
        Path(path).replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            Path(path).unlink()
        raise


class JavaLevels:
    """The level of one instance's log; used on one event loop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._timer: asyncio.TimerHandle | None = None

    def set(self, level: str, seconds: float | None) -> bool:
        """Set a level, after `seconds` the one before; tells whether it could be written."""
        self.cancel()
        if not self._write(level):
            return False
        if seconds:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._write, None)
        return True

    def _write(self, level: str | None) -> bool:
        try:
            write_level(self._file, level)
        except OSError:
            return False
        return True

    def cancel(self) -> None:
        """Leave the level as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
