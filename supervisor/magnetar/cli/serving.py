"""Loading what a server is made of, without what would only make it prettier: a start is mostly imports."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from magnetar.config import WorkerConfig
    from magnetar.serve import Format

_PRETTY = ("rich", "httpx._main")
"""Of structlog, to draw tracebacks, and of httpx, to be a command line: a third of the start."""


def load_serve() -> "Callable[[WorkerConfig, Format], int]":
    """Return `magnetar.serve.serve`; for a process that is a worker and nothing else."""
    with _without(_PRETTY):
        from magnetar.serve import serve  # noqa: PLC0415 - imported when it runs
    return serve


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Let modules that are optional to others be missing while the block runs."""
    blocked = [each for each in names if each not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for each in blocked:
            del sys.modules[each]
