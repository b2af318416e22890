"""What every test must leave behind: nothing."""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import tracemalloc  # noqa: F401 - pytest asks it about garbage, also about what is found while it is half imported
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from magnetar.processes.watch import children as direct_children

# Programs under test print as a user's do, whatever the one who runs the tests has set.
os.environ.pop("PYTHONUNBUFFERED", None)
# A shell without job control has what it runs in the background ignore these; programs under test would inherit that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
_PATIENCE = 10.0
_STEP = 0.05
_NO_STATE = frozenset(("tmp_path_factory", "pytestconfig", "anyio_backend_name", "event_loop_policy"))
# Kept by libraries for the next use, as they document it: pools of threads.
_POOLED = ("AnyIO worker thread", "asyncio_", "ThreadPoolExecutor-")


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves processes, threads or descriptors; what a session's or module's fixture holds is theirs."""
    processes, threads, descriptors = children(set()), set(threading.enumerate()), open_files()
    shares = shares_something(request)
    yield
    # The first test that asks for a real Pulsar starts it for the whole session.
    left = set() if "pulsar" in request.node.name else until_empty(lambda: children(processes))
    assert not left, (
        f"processes left behind: {[psutil.Process(pid).cmdline() for pid in left if psutil.pid_exists(pid)]}"
    )
    kept = until_empty(lambda: {each for each in threading.enumerate() if not pooled(each)} - threads)
    assert not kept, f"threads left behind: {kept}"
    # A shared client or server may open a connection at any time and keep it.
    opened = set() if shares else until_empty(lambda: open_files() - descriptors)
    assert not opened, f"descriptors left open: {opened}"


def shares_something(request: pytest.FixtureRequest) -> bool:
    """Whether a test uses a fixture that outlives it."""
    known = request.node._fixtureinfo.name2fixturedefs
    return any(
        known[name][-1].scope != "function" for name in request.fixturenames if name in known and name not in _NO_STATE
    )


def until_empty(look: Callable[[], set[object]]) -> set[object]:
    """Return what is still there after a bounded wait: what was asked to end may take a moment."""
    deadline = time.monotonic() + _PATIENCE
    while (found := look()) and time.monotonic() < deadline:
        gc.collect()
        threading.Event().wait(_STEP)
    return found


def children(known: set[int]) -> set[int]:
    """Return the processes below this one, without those that are known and what is below them.

    The kernel's own list is asked: before and after each test psutil would look through all processes of the host.
    """
    found: set[int] = set()
    for pid in direct_children(os.getpid()) - known:
        with contextlib.suppress(psutil.NoSuchProcess):
            each = psutil.Process(pid)
            # A subreaper's orphans that ended after it had stopped being one are nobody's to wait for.
            if not ended(each):
                found |= {pid, *(below.pid for below in each.children(recursive=True))}
    return found


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE and os.waitpid(process.pid, os.WNOHANG)[0] != 0
    except (psutil.NoSuchProcess, ChildProcessError):
        return True


def pooled(thread: threading.Thread) -> bool:
    return thread.name.startswith(_POOLED)


def open_files() -> set[tuple[str, str]]:
    """Return the files and sockets that are open, by number and what they are.

    The official client opens its log once for the whole process: the null device, or where standard error goes.
    """
    if sys.platform != "linux":
        return set()
    logs = {os.devnull, *(str(Path(f"/proc/self/fd/{number}").readlink()) for number in (1, 2))}
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            place = str(entry.readlink())
        except OSError:
            continue
        if place not in logs:
            found.add((entry.name, place))
    return found
