"""Loading what a server is made of, without what it has no use for: a start is mostly imports."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from magnetar.config import WorkerConfig
    from magnetar.serve import Format

_USELESS = ("rich", "httpx._main", "h2")
"""Of structlog, to draw tracebacks; of httpx, to be a command line, and for HTTP/2, which nothing here speaks: a sixth of a
second each where they are installed."""


def load_serve() -> "Callable[[WorkerConfig, Format], int]":
    """Return `magnetar.serve.serve`; for a process that is a worker and nothing else."""
    with _without(_USELESS):
        import httpcore  # noqa: F401, PLC0415 - httpx imports it when it is first used

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
