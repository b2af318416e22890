"""State in SQLite: one file for each namespace, shared by the processes and threads of one host.

A write-ahead log lets readers and a writer work at once, and survives a kill -9 at any moment. It is not for directories
that several hosts share.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from magnetar_instance import forks
from magnetar_instance.errors import StateError
from magnetar_instance.state import StateEntry

T = TypeVar("T")

_PATIENCE = 30.0
"""Seconds that a write waits for those of others."""
_PAUSE = 0.01
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TABLE = """
CREATE TABLE IF NOT EXISTS state (
    function TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB,
    number INTEGER CHECK (typeof(number) IN ('integer', 'null')),
    version INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (function, key)
) WITHOUT ROWID
"""
_PUT = """
INSERT INTO state (function, key, value, number) VALUES (?, ?, ?, ?)
ON CONFLICT (function, key) DO UPDATE SET value = excluded.value, number = excluded.number, version = version + 1
"""
_ADD = """
INSERT INTO state (function, key, number) VALUES (?, ?, ?)
ON CONFLICT (function, key) DO UPDATE SET number = number + excluded.number, version = version + 1 WHERE number IS NOT NULL
"""


class SqliteState:
    """The state of one function; opened when it is first used, and anew in a process that was forked meanwhile."""

    def __init__(self, directory: Path, tenant: str, namespace: str, function: str) -> None:
        # Neither name can hold the sign between them, nor a slash.
        self.path = directory / f"{quote(tenant, safe='')}@{quote(namespace, safe='')}.sqlite"
        self._function = function
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._opened_by = 0
        self._dirty = False

    def get(self, key: str) -> StateEntry | None:
        """Return what is kept under a key, None for nothing; looking makes no file."""
        if self._opened is None and not self.path.exists():
            return None
        query = "SELECT version, value, number FROM state WHERE function = ? AND key = ?"
        with self._connection() as connection:
            row = connection.execute(query, (self._function, key)).fetchone()
        return None if row is None else StateEntry(*row)

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key."""
        self._write(_PUT, (self._function, key, value, None))

    def set_number(self, key: str, number: int) -> None:
        """Keep a counter under a key."""
        self._write(_PUT, (self._function, key, None, number))

    def add(self, key: str, amount: int) -> None:
        """Add to a counter, which begins at 0; nothing that others add at the same time is lost."""
        if not self._write(_ADD, (self._function, key, amount)):
            raise StateError(f"the key {key!r} holds bytes, which can't be counted up: delete it, or use another key")

    def delete(self, key: str) -> None:
        """Keep nothing under a key."""
        self._write("DELETE FROM state WHERE function = ? AND key = ?", (self._function, key))

    def clear(self) -> None:
        """Keep nothing of the function; looking makes no file."""
        if self.path.exists():
            self._write("DELETE FROM state WHERE function = ?", (self._function,))

    def take_from(self, other: Path) -> None:
        """Begin with what the function keeps in another file."""
        with self._connection() as connection:
            connection.execute("ATTACH ? AS other", (str(other),))
            connection.execute(
                "INSERT OR REPLACE INTO state SELECT * FROM other.state WHERE function = ?", (self._function,)
            )
            connection.execute("DETACH other")

    def sync(self) -> None:
        """Have what was written survive a power failure too; it survives the process as it is."""
        if not self._dirty:
            return
        self._dirty = False
        try:
            log = os.open(f"{self.path}-wal", os.O_RDONLY)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)
        except OSError as error:
            raise StateError(f"the state in {self.path} can't be written to disk: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            connection, self._opened = self._opened, None
        if connection is not None and self._opened_by == forks.current:
            connection.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        """Carry out one change; returns how many rows it changed."""
        with self._connection() as connection:
            changed = connection.execute(statement, values).rowcount
        self._dirty = True
        return changed

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                if self._opened is None or self._opened_by != forks.current:
                    self._opened, self._opened_by = self._open(), forks.current
                yield self._opened
        except (sqlite3.IntegrityError, OverflowError):
            raise StateError("a counter can't go beyond 64 bits") from None
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"the state in {self.path} can't be had: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            # Of several that open a new file at once, SQLite lets all but one fail instead of wait.
            _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
            connection.execute("PRAGMA synchronous = NORMAL")
            _patiently(lambda: connection.execute(_TABLE))
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _patiently(change: Callable[[], T]) -> T:
    ends = time.monotonic() + _PATIENCE
    while True:
        try:
            return change()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > ends:
                raise
        time.sleep(_PAUSE)
