"""Prints and log records of functions that run in threads of one process: each function's go to a file of its own.

So does its way out: `os._exit` ends the function's instance, as `sys.exit` does, and not the process with all others.

Which function they belong to is told by the context they come from. Threads that a function starts itself have a context
of their own, so what they print is the process's, as ever.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TextIO

from magnetar_instance import forks
from magnetar_instance.logs import LogFile, LogFormat, line_stream

_current: ContextVar["FunctionOutput | None"] = ContextVar("magnetar_function_output", default=None)


class _Unregistered(logging.Logger):
    """A logger that logging's registry does not know, so that nothing is left of it when it is no longer used.

    The registry is what forgets, when a level is set, which levels were found to be enabled: so nothing is remembered here.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's
        """Whether records of a level are taken."""
        return level > self.manager.disable and level >= self.getEffectiveLevel()


class FunctionOutput:
    """The log file of one thread function, and the logger that writes to it."""

    def __init__(self, path: Path, name: str, form: LogFormat = "text") -> None:
        self.file = LogFile(path, form)
        self.logger: logging.Logger = _Unregistered(name, logging.INFO)
        self.logger.addHandler(self.file)
        self.stdout = line_stream(self.logger, logging.INFO, None)
        self.stderr = line_stream(self.logger, logging.ERROR, None)

    @contextlib.contextmanager
    def captured(self) -> Iterator[None]:
        """Take what is printed and logged in this context, while a ThreadOutput is installed."""
        token = _current.set(self)
        try:
            yield
        finally:
            self.stdout.flush()
            self.stderr.flush()
            _current.reset(token)

    def close(self) -> None:
        """Close the file."""
        self.logger.removeHandler(self.file)
        self.file.close()


class ThreadOutput:
    """While entered, sys.stdout, sys.stderr and the root logger tell apart whose output they get.

    May be entered several times over; the last to leave puts everything back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._installed: contextlib.ExitStack | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._entered += 1
            if self._installed is None:
                self._installed = _install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._entered -= 1
            if not self._entered and self._installed is not None:
                self._installed.close()
                self._installed = None


def _install() -> contextlib.ExitStack:
    undo = contextlib.ExitStack()
    _install_exit(undo)
    for name in ("stdout", "stderr"):
        original = getattr(sys, name)
        setattr(sys, name, _Routed(original, name))
        undo.callback(setattr, sys, name, original)
    root = logging.getLogger()
    own = _OwnRecords(root.level)
    for handler in root.handlers:
        handler.addFilter(own)
        undo.callback(handler.removeFilter, own)
    router = _Router(alone=not root.handlers, own=own)
    undo.callback(root.removeHandler, router)
    undo.callback(root.setLevel, root.level)
    root.addHandler(router)
    root.setLevel(min(root.level, logging.INFO))
    return undo


def _install_exit(undo: contextlib.ExitStack) -> None:
    original, process = os._exit, forks.current

    def leave(status: int) -> NoReturn:
        # A child that the function forked is a process of its own.
        if _current.get() is not None and forks.current == process:
            raise SystemExit(status)
        original(status)

    os._exit = leave
    undo.callback(setattr, os, "_exit", original)


class _Routed:
    """Stands for a standard stream: whatever is done to it is done to the function's stream, or to the original."""

    def __init__(self, original: TextIO, name: str) -> None:
        self._original = original
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        output = _current.get()
        return getattr(self._original if output is None else getattr(output, self._name), attribute)


class _OwnRecords(logging.Filter):
    """Keeps the process's own handlers as they were: without functions' records, at the level that the root had."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        if _current.get() is not None:
            return False
        return record.levelno >= self._level or _has_own_level(record.name)


def _has_own_level(name: str) -> bool:
    """Tell whether a logger, or one between it and the root, has a level of its own."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.parent is not None:
        if logger.level:
            return True
        logger = logger.parent
    return False


class _Router(logging.Handler):
    """Gives functions' records that reach the root logger to their own files."""

    def __init__(self, *, alone: bool, own: _OwnRecords) -> None:
        super().__init__()
        self._alone = alone
        self._own = own

    def emit(self, record: logging.LogRecord) -> None:
        output = _current.get()
        if output is not None:
            output.logger.handle(record)
        elif self._alone and self._own.filter(record):
            _last_resort(record)


def _last_resort(record: logging.LogRecord) -> None:
    """Do what logging itself does where the root has no handler."""
    if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
        logging.lastResort.handle(record)
