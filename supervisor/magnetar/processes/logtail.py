"""The last lines of a log file: what an instance said before it ended."""

import os
from pathlib import Path

from magnetar.host_users import as_owner_of

_WINDOW = 16 * 1024


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 when there is none."""
    try:
        with as_owner_of(path.parent):
            return path.stat().st_size
    except OSError:
        return 0


def last_lines(path: Path, count: int, *, since: int = 0, window: int = _WINDOW) -> tuple[str, ...]:
    """Return at most `count` last lines that were written after the byte `since`; none when there is no such file.

    Only the last `window` bytes are looked at.
    """
    try:
        with as_owner_of(path.parent), path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(since if since <= end else 0, end - window)
            file.seek(start)
            text = file.read(window).decode(errors="replace")
    except OSError:
        return ()
    return tuple(line for line in text.splitlines() if line.strip())[-count:]
