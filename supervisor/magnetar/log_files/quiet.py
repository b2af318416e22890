"""Logs that nobody writes to: the kernel tells when one is written to, once, and until then they cost nothing (Linux)."""

import ctypes
import os
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000
_MODIFY, _ATTRIBUTES, _DELETED, _MOVED, _ONCE = 0x2, 0x4, 0x400, 0x800, 0x80000000
_EVENT = struct.Struct("iIII")
_ROOM = 1 << 16


class QuietLogs:
    """Tells which of the watched logs were written to, renamed or deleted; a context manager.

    A watch ends with what it tells, so a log that is written to all the time costs its writers nothing. Where the kernel
    has no inotify, or no watch left (`fs.inotify.max_user_watches`), `watch` says so.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self._watched: dict[int, Path] = {}

    def __enter__(self) -> Self:
        if sys.platform == "linux":
            self._descriptor = ctypes.CDLL(None).inotify_init1(_NONBLOCK | _CLOEXEC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def watch(self, log: Path) -> bool:
        """Have the next change of a log told; False where that can't be had. A change before this call is not told."""
        if self._descriptor < 0:
            return False
        wanted = _MODIFY | _ATTRIBUTES | _DELETED | _MOVED | _ONCE
        number = ctypes.CDLL(None).inotify_add_watch(self._descriptor, os.fsencode(log), ctypes.c_uint32(wanted))
        if number < 0:
            return False
        self._watched[number] = log
        return True

    async def changed(self) -> set[Path]:
        """Wait until watched logs have changed, and return them; they are watched no more."""
        if self._descriptor < 0:
            await anyio.sleep_forever()
        await anyio.wait_readable(self._descriptor)
        found: set[Path] = set()
        told, place = os.read(self._descriptor, _ROOM), 0
        while place < len(told):
            number, _, _, length = _EVENT.unpack_from(told, place)
            place += _EVENT.size + length
            # Each watch tells twice: what happened, and that it ended.
            if (log := self._watched.pop(number, None)) is not None:
                found.add(log)
        return found
