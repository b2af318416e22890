"""The level of a function's log, changed while it runs: for good, or for a while."""

import logging
from collections.abc import Callable
from typing import Protocol

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Timer(Protocol):
    """What calls later, unless it is cancelled."""

    def cancel(self) -> None:
        """Call nothing any more."""


class LogLevel:
    """The level of one logger; used on one event loop."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._usual = logger.level
        self._timer: Timer | None = None

    def set(self, level: str, seconds: float | None, call_later: Callable[[float, Callable[[], None]], Timer]) -> None:
        """Set one of LEVELS, after `seconds` the one before; other names are left alone."""
        if level not in LEVELS:
            return
        if self._timer is None:
            self._usual = self._logger.level
        self.cancel()
        self._say(level, f"for {seconds:g} s" if seconds else "until the next start")
        self._logger.setLevel(level)
        if seconds:
            self._timer = call_later(seconds, self._back)

    def _back(self) -> None:
        self._timer = None
        self._logger.setLevel(self._usual)
        self._say(logging.getLevelName(self._usual), "as before")

    def _say(self, level: str, how_long: str) -> None:
        record = self._logger.makeRecord(
            self._logger.name, logging.INFO, __file__, 0, "the log level is %s %s", (level, how_long), None
        )
        self._logger.handle(record)

    def cancel(self) -> None:
        """Leave the level as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
