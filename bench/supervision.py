"""Supervision beside supervisord, circus, pm2, s6 and runit: 100 children that sleep, one that logs 100,000 lines a second.

`scripts/bench supervision [--peers=NAME,NAME] [--parts=children,ends,lines] [--kills=N]`: all peers that can be had,
the others skipped with a line.
"""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.processes import shares, spent
from bench.report import Figure
from bench.supervision_peers.adapters import ADAPTERS, Adapter, UnavailableError

CHILDREN, KILLS, IDLE_SECONDS, SETTLE, STOP_LIMIT = 100, 30, 10.0, 5.0, 60.0
LINES, RATE = 300_000, 100_000
MARK = "MAGNETAR_BENCH_RUN"
CHILD = '#!/bin/sh\necho $$ > "$1.new"\nmv "$1.new" "$1"\nexec sleep 86400\n'
LOUD = """
import os, sys, time
while not os.path.exists(sys.argv[1] + ".go"):
    time.sleep(0.01)
begun = time.monotonic()
for number in range({lines}):
    os.write(1, b"L%09d %s\\n" % (number, b"x" * 88))
    if number % 1000 == 0:
        time.sleep(max(0, number / {rate} - (time.monotonic() - begun)))
open(sys.argv[1], "w").write(str(time.monotonic() - begun))
time.sleep(86400)
"""


def measure(rest: Sequence[str]) -> list[Figure]:
    """Measure every supervisor, or those that are named."""
    figures: list[Figure] = []
    # What is written in Python keeps its compiled modules, as where it is installed.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    peers = _named(rest, "peers", ",".join(kind.name for kind in ADAPTERS))
    parts, kills = _named(rest, "parts", "children,ends,lines"), int(_named(rest, "kills", str(KILLS))[0])
    for kind in ADAPTERS:
        if kind.name not in peers:
            continue
        try:
            kind.install()
        except UnavailableError as error:
            print(f"{kind.name} is skipped: {error}", file=sys.stderr)
            continue
        figures += [
            Figure(f"{kind.name}: {what}", samples, unit, goal) for what, samples, unit, goal in _of(kind, parts, kills)
        ]
    return figures


def _named(rest: Sequence[str], option: str, default: str) -> list[str]:
    given = next((each for each in rest if each.startswith(f"--{option}=")), f"--{option}={default}")
    return given.partition("=")[2].split(",")


Row = tuple[str, tuple[float, ...], str, str]


def _of(kind: type[Adapter], parts: Sequence[str], kills: int) -> list[Row]:
    rows: list[Row] = []
    measures: dict[str, Callable[[type[Adapter], Path], list[Row]]] = {
        "children": partial(_sleepers, kills=kills),
        "ends": _ends,
        "lines": _loud,
    }
    for part in (_warm_up, *(measures[each] for each in parts)):
        with TemporaryDirectory(prefix="magnetar-bench-", ignore_cleanup_errors=True) as folder:
            os.environ[MARK] = folder
            try:
                rows += part(kind, Path(folder))
            finally:
                _end_all(folder)
                del os.environ[MARK]
    return rows


def _warm_up(kind: type[Adapter], folder: Path) -> list[Row]:
    """Run one child once, so that no row has to do with what is read or compiled for the first time."""
    adapter, marks = _with_children(kind, folder, 1)
    adapter.start()
    _until(marks[0].exists, 60)
    return []


def _with_children(kind: type[Adapter], folder: Path, count: int) -> tuple[Adapter, list[Path]]:
    """Return a supervisor of children that each write their process id into a mark and sleep."""
    (folder / "child").write_text(CHILD)
    (folder / "child").chmod(0o755)
    marks = [folder / f"{number}.pid" for number in range(count)]
    commands = {f"c{number}": [str(folder / "child"), str(mark)] for number, mark in enumerate(marks)}
    return kind(folder / "peer", commands), marks


def _sleepers(kind: type[Adapter], folder: Path, kills: int) -> list[Row]:
    adapter, marks = _with_children(kind, folder, CHILDREN)
    root, took = _started(adapter, marks)
    time.sleep(SETTLE)
    family = _family(root)
    (idle,) = shares((family,), IDLE_SECONDS)
    memory = sum(map(_pss, family)) / 2**20
    replaced = tuple(_replaced(mark) for mark in random.sample(marks, kills))
    return [
        (f"{CHILDREN} children run", (took,), "s", "<= 0.6"),
        (f"idle with {CHILDREN} children", (idle,), "% of a core", "<= 0.1"),
        (f"memory with {CHILDREN} children (PSS)", (memory,), "MiB", ""),
        (f"processes beside {CHILDREN} children", (len(family),), "", ""),
        ("kill -9 to replacement", replaced, "ms", "p50 <= 15"),
        (f"the slowest of {kills}", (max(replaced),), "ms", "<= 100"),
    ]


def _ends(kind: type[Adapter], folder: Path) -> list[Row]:
    adapter, marks = _with_children(kind, folder, CHILDREN)
    root, _ = _started(adapter, marks)
    time.sleep(SETTLE)
    ended = _stopped(adapter, root, str(folder))
    for mark in marks:
        mark.unlink()
    root, took = _started(adapter, marks)
    time.sleep(SETTLE)
    return [
        (f"{CHILDREN} children run, again", (took,), "s", "<= 0.6"),
        ("all ended, from being asked to", (ended,), "s", "<= 1"),
        *_crash(adapter, root, str(folder)),
    ]


def _started(adapter: Adapter, marks: Sequence[Path]) -> tuple[int, float]:
    """Return the supervisor's process id and the seconds until all children run."""
    began = time.monotonic()
    root = adapter.start()
    if not _until(lambda: all(mark.exists() for mark in marks), 60):
        raise SystemExit(f"not all children of {adapter.name} ran after 60 s")
    return root, time.monotonic() - began


def _stopped(adapter: Adapter, root: int, folder: str) -> float:
    began = time.monotonic()
    os.kill(root, adapter.stop_signal)
    ended = _until(lambda: not _sleeping(folder), STOP_LIMIT)
    took = time.monotonic() - began if ended else float("inf")
    _end_all(folder)  # loggers and supervisors of single children may take longer
    return took


def _crash(adapter: Adapter, root: int, folder: str) -> list[Row]:
    os.kill(root, signal.SIGKILL)
    time.sleep(3)
    left = len(_sleeping(folder))
    adapter.start()
    _until(lambda: len(_sleeping(folder)) >= CHILDREN, 60)
    time.sleep(SETTLE)
    return [
        ("children 3 s after kill -9 of the supervisor", (left,), "", "0"),
        ("children after its next start", (len(_sleeping(folder)),), "", "100"),
    ]


def _replaced(mark: Path) -> float:
    """Kill a child at any phase of a poll, and return the milliseconds until another one runs."""
    time.sleep(random.uniform(0.1, 0.6))
    old, at = int(mark.read_text()), time.monotonic()
    os.kill(old, signal.SIGKILL)
    _until(lambda: int(mark.read_text()) != old, 30)
    return (time.monotonic() - at) * 1000


def _loud(kind: type[Adapter], folder: Path) -> list[Row]:
    program, account = folder / "loud.py", folder / "account"
    program.write_text(LOUD.format(lines=LINES, rate=RATE))
    adapter = kind(folder / "peer", {"loud": [sys.executable, str(program), str(account)]})
    root = adapter.start()
    time.sleep(SETTLE)
    family = [each for each in _family(root) if "loud.py" not in " ".join(each.cmdline())]
    before = spent(family)
    Path(f"{account}.go").touch()
    _until(lambda: account.exists() and bool(account.read_text()), 60)
    time.sleep(3)
    took_of_processor = spent(family) - before
    found = [line for path in adapter.logs("loud") for line in re.findall(rb"L(\d{9}) x{88}\n", path.read_bytes())]
    return [
        ("lines a second", (LINES / float(account.read_text()),), "1/s", ">= 100000"),
        ("lines lost, cut or doubled", (LINES - len(set(found)) + len(found) - len(set(found)),), "", "0"),
        ("processor time for these lines", (took_of_processor,), "s", ""),
    ]


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError):
            if holds():
                return True
        time.sleep(0.001)
    return False


def _family(root: int) -> list[psutil.Process]:
    """Return a supervisor and what it runs beside the children."""
    process = psutil.Process(root)
    return [each for each in (process, *process.children(recursive=True)) if each.name() != "sleep"]


def _pss(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)


def _of_this_run(folder: str) -> list[psutil.Process]:
    """Return the processes that carry this run's mark in their environment."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.pid != os.getpid() and each.environ().get(MARK) == folder:
                found.append(each)
    return found


def _sleeping(folder: str) -> list[psutil.Process]:
    return [each for each in _of_this_run(folder) if _is_sleep(each)]


def _is_sleep(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE
    return False


def _end_all(folder: str) -> None:
    for _ in range(20):
        left = _of_this_run(folder)
        if not left:
            return
        for each in left:
            with suppress(psutil.Error):
                each.kill()
        psutil.wait_procs(left, timeout=0.5)
