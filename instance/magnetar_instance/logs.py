"""Where an instance process logs: Pulsar's file, Pulsar's record format, prints included."""

import io
import json
import logging
import logging.config
import logging.handlers
import os
import sys
import threading
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


class JsonLines(logging.Formatter):
    """Makes one JSON object of each record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; `exception` is there where the record has one."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
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
    return JsonLines() if form == "json" else logging.Formatter(FORMAT, DATE_FORMAT)


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


class _Lines(io.RawIOBase):
    """Makes a record of each line that is written; lines of several threads don't mix."""

    def __init__(self, logger: logging.Logger, level: int, descriptor: int | None) -> None:
        super().__init__()
        self._logger = logger
        self._level = level
        self._descriptor = descriptor
        self._partial = threading.local()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._descriptor is None:
            raise io.UnsupportedOperation("this stream has no descriptor: its lines go to a function's log file")
        return self._descriptor

    def flush(self) -> None:
        """Log what was written of a line that has not ended."""
        if getattr(self._partial, "text", b""):
            self.write(b"\n")

    def write(self, data: bytes) -> int:  # type: ignore[override] # typing has no Buffer before 3.12
        *lines, rest = (getattr(self._partial, "text", b"") + bytes(data)).split(b"\n")
        self._partial.text = rest
        for line in lines:
            if line.strip():
                self._logger.log(self._level, "%s", line.decode("utf-8", "replace").rstrip())
        return len(data)


def line_stream(logger: logging.Logger, level: int, descriptor: int | None) -> TextIO:
    """Return a stream in place of sys.stdout or sys.stderr that logs each line; `descriptor` is what it stands for."""
    lines = _Lines(logger, level, descriptor)
    return io.TextIOWrapper(lines, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]


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
