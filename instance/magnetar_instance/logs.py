"""Where an instance process logs: Pulsar's file, Pulsar's record format, prints included."""

import io
import json
import logging
import logging.config
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

FORMAT = "[%(asctime)s] [%(levelname)s] %(filename)s: %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S %z"
LogFormat = Literal["text", "json"]
FORMAT_VARIABLE = "MAGNETAR_LOG_FORMAT"
"""An environment variable: the form of an instance's records, `text` (as Pulsar's) or `json`."""
_ROTATE_BYTES = 10 * 1024 * 1024
_ROTATED_FILES = 5


class _Seconds:
    """Makes the text of a time, once for each second: records come in thousands of them."""

    def __init__(self, form: Callable[[int], str]) -> None:
        self._form = form
        self._last = (-1, "")

    def text(self, moment: float) -> str:
        second, text = self._last
        if second != int(moment):
            second = int(moment)
            text = self._form(second)
            self._last = second, text
        return text


class PulsarLines(logging.Formatter):
    """Makes a line of Pulsar's form of each record; its time has seconds."""

    def __init__(self) -> None:
        super().__init__(FORMAT, DATE_FORMAT)
        self._seconds = _Seconds(lambda second: time.strftime(DATE_FORMAT, time.localtime(second)))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        """Return the time of a record."""
        return self._seconds.text(record.created)


class JsonLines(logging.Formatter):
    """Makes one JSON object of each record, on one line."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = _Seconds(lambda second: datetime.fromtimestamp(second, UTC).isoformat()[:-6])

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; `exception` is there where the record has one."""
        fields: dict[str, object] = {
            "time": f"{self._seconds.text(record.created)}.{int(record.created % 1 * 1000):03}+00:00",
            "level": record.levelname,
            "logger": record.name,
            "file": record.filename,
            "line": record.lineno,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def formatter(form: LogFormat = "text") -> logging.Formatter:
    """Return a formatter of Pulsar's record format, or of JSON lines."""
    return JsonLines() if form == "json" else PulsarLines()


class LogFile(logging.Handler):
    """Appends each record to a file with one write: what was logged outlives a kill of the process."""

    def __init__(self, path: Path, form: LogFormat = "text") -> None:
        super().__init__()
        self._path = path
        self.descriptor = _open(path)
        self._followers: tuple[int, ...] = ()
        self.lost = 0
        """Records that could not be written, because the disk was full for example."""
        self.setFormatter(formatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - as any handler does with arguments that don't fit their message
            self.handleError(record)
            return
        try:
            os.write(self.descriptor, line.encode("utf-8", "backslashreplace"))
        except OSError:
            self.lost += 1

    def lead(self, *descriptors: int) -> None:
        """Have these descriptors write to the file too, from now on and after each `reopen`."""
        self._followers = descriptors
        for descriptor in descriptors:
            os.dup2(self.descriptor, descriptor)

    def reopen(self) -> None:
        """Open the path anew, after it was renamed. From when the path is there again no record goes to the old file."""
        self.acquire()
        try:
            if self.descriptor < 0:
                return
            opened = _open(self._path)
            os.dup2(opened, self.descriptor, inheritable=False)
            for descriptor in self._followers:
                os.dup2(opened, descriptor)
            os.close(opened)
        finally:
            self.release()

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1
        finally:
            self.release()
        super().close()


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


class _Partial(threading.local):
    """What a thread has written of a line that has not ended: text, and behind it bytes."""

    text = ""
    data = b""


class _Lines(io.RawIOBase):
    """Makes a record of each line that is written; lines of several threads don't mix."""

    def __init__(self, logger: logging.Logger, level: int, descriptor: int | None) -> None:
        super().__init__()
        self._logger = logger
        self._level = level
        self._descriptor = descriptor
        self._partial = _Partial()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._descriptor is None:
            raise io.UnsupportedOperation("this stream has no descriptor: its lines go to a function's log file")
        return self._descriptor

    def flush(self) -> None:
        """Log what was written of a line that has not ended."""
        if self._partial.text or self._partial.data:
            self.add("\n")

    def write(self, data: bytes) -> int:  # type: ignore[override] # typing has no Buffer before 3.12
        whole, end, rest = (self._partial.data + bytes(data)).rpartition(b"\n")
        self._partial.data = b""
        if end:
            self.add((whole + end).decode("utf-8", "replace"))
        self._partial.data = rest
        return len(data)

    def add(self, text: str) -> None:
        """Write text."""
        partial = self._partial
        if partial.data:
            text, partial.data = partial.data.decode("utf-8", "replace") + text, b""
        text = partial.text + text
        if "\n" not in text:
            partial.text = text
            return
        *lines, partial.text = text.split("\n")
        for line in lines:
            self._log(line.rstrip())

    def _log(self, line: str) -> None:
        """Log a line; where it was printed is not looked for, which would cost as much as all the rest."""
        if line and self._logger.isEnabledFor(self._level):
            self._logger.handle(
                self._logger.makeRecord(self._logger.name, self._level, __file__, 0, "%s", (line,), None)
            )


class _Stream(io.TextIOWrapper):
    """Gives text to `_Lines` as it is: `print` writes each of its values, and what stands between them, by itself."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__(lines, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[arg-type]
        self._add = lines.add

    def write(self, text: str) -> int:
        self._add(text)
        return len(text)


def line_stream(logger: logging.Logger, level: int, descriptor: int | None) -> TextIO:
    """Return a stream in place of sys.stdout or sys.stderr that logs each line; `descriptor` is what it stands for."""
    return _Stream(_Lines(logger, level, descriptor))


def set_up_process(path: Path | None, config: Path | None, level: str | None, *, supervised: bool) -> LogFile | None:
    """Send the root logger, prints and the standard streams where this instance logs.

    `config` is a logging configuration of Pulsar's form, which then decides; else records go to `path`. Under our
    supervisor the file is ours to reopen and returned; elsewhere it is rotated as in Pulsar. Raises OSError.
    """
    root = logging.getLogger()
    own = None
    if config is not None and config.is_file():
        os.environ["LOG_FILE"] = str(path)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        logging.config.fileConfig(config)
    else:
        root.setLevel(logging.INFO)
        own = _add_file(root, path, supervised=supervised)
    if level is not None:
        root.setLevel(level)
    if own is not None:
        own.lead(1, 2)
    sys.stdout = line_stream(root, logging.INFO, 1)
    sys.stderr = line_stream(root, logging.ERROR, 2)
    return own


def _add_file(root: logging.Logger, path: Path | None, *, supervised: bool) -> LogFile | None:
    if path is None:
        handler: logging.Handler = logging.StreamHandler(sys.stdout)
    elif supervised:
        handler = LogFile(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, "a", _ROTATE_BYTES, _ROTATED_FILES)
    handler.setFormatter(formatter("json" if os.environ.get(FORMAT_VARIABLE) == "json" else "text"))
    root.addHandler(handler)
    return handler if isinstance(handler, LogFile) else None
