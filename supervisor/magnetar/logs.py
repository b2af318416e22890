"""The worker's own log: sentences with their facts behind them, to the standard library's logger `magnetar`.

Where the records go is decided by the program that runs the worker: nothing here, and nothing of structlog, is configured
globally.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.stdlib import BoundLogger, filter_by_level

_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


def worker_logger() -> BoundLogger:
    """Return the logger of a worker."""
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger("magnetar"), processors=[filter_by_level, _as_sentence], wrapper_class=BoundLogger
    )
    return logger


def log_to(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Send the log to a stream; for a program that is a worker and nothing else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _as_sentence(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    sentence = str(event.pop("event"))
    event.pop("exc_info", None)
    facts = " ".join(f"{key}={_fact(value)}" for key, value in event.items())
    return f"{sentence} {facts}" if facts else sentence


def _fact(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(letter.isspace() for letter in text) else text
