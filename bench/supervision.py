"""Supervision beside supervisord, circus, pm2, s6 and runit: 100 children that sleep, one that logs 100,000 lines a second.

`scripts/bench supervision [--peers=NAME,NAME]`: all peers that can be had, the others skipped with a line.
"""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.report import Figure
from bench.supervision_peers.adapters import ADAPTERS, Adapter, UnavailableError

CHILDREN, KILLS, IDLE_SECONDS, SETTLE = 100, 30, 10.0, 5.0
LINES, RATE = 300_000, 100_000
MARK = "MAGNETAR_BENCH_RUN"
CHILD = '#!/bin/sh\necho $$ > "$1.new"\nmv "$1.new" "$1"\nexec sleep 86400\n'
LOUD = """
import os, sys, time
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
    named = [name for each in rest if each.startswith("--peers=") for name in each.removeprefix("--peers=").split(",")]
    for kind in ADAPTERS:
        if named and kind.name not in named:
            continue
        try:
            kind.install()
        except UnavailableError as error:
            print(f"{kind.name} is skipped: {error}", file=sys.stderr)
            continue
        figures += [Figure(f"{kind.name}: {what}", samples, unit, goal) for what, samples, unit, goal in _of(kind)]
    return figures


Row = tuple[str, tuple[float, ...], str, str]


def _of(kind: type[Adapter]) -> list[Row]:
    rows: list[Row] = []
    for part in (_sleepers, _loud):
        with TemporaryDirectory(prefix="magnetar-bench-", ignore_cleanup_errors=True) as folder:
            os.environ[MARK] = folder
            try:
                rows += part(kind, Path(folder))
            finally:
                _end_all(folder)
                del os.environ[MARK]
    return rows


def _sleepers(kind: type[Adapter], folder: Path) -> list[Row]:
    (folder / "child").write_text(CHILD)
    (folder / "child").chmod(0o755)
    marks = [folder / f"{number}.pid" for number in range(CHILDREN)]
    adapter = kind(folder / "peer", {f"c{n}": [str(folder / "child"), str(mark)] for n, mark in enumerate(marks)})
    began = time.monotonic()
    root = adapter.start()
    _until(lambda: all(mark.exists() for mark in marks), 60)
    rows: list[Row] = [("100 children run", (time.monotonic() - began,), "s", "<= 0.6")]
    time.sleep(SETTLE)
    family = _family(root)
    before, at = _processor(family), time.monotonic()
    time.sleep(IDLE_SECONDS)
    idle = 100 * (_processor(family) - before) / (time.monotonic() - at)
    rows.append(("idle with 100 children", (idle,), "% of a core", "<= 0.1"))
    rows.append(("memory with 100 children (PSS)", (sum(map(_pss, family)) / 2**20,), "MiB", ""))
    rows.append(
        ("kill -9 to replacement", tuple(_replaced(mark) for mark in random.sample(marks, KILLS)), "ms", "p50 <= 15")
    )
    rows.append((f"the slowest of {KILLS}", (max(rows[-1][1]),), "ms", "<= 100"))
    os.kill(root, signal.SIGKILL)
    time.sleep(3)
    rows.append(("children 3 s after kill -9 of the supervisor", (len(_sleeping(str(folder))),), "", "0"))
    root = adapter.start()
    _until(lambda: len(_sleeping(str(folder))) >= CHILDREN, 60)
    time.sleep(SETTLE)
    rows.append(("children after its next start", (len(_sleeping(str(folder))),), "", "100"))
    at = time.monotonic()
    os.kill(root, signal.SIGTERM)
    ended = _until(lambda: not _sleeping(str(folder)), 20)
    rows.append(("stop of all by SIGTERM", (time.monotonic() - at if ended else float("inf"),), "s", "<= 1"))
    return rows


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
    _until(lambda: account.exists() and bool(account.read_text()), 60)
    time.sleep(3)
    spent = _processor([each for each in _family(root) if "loud.py" not in " ".join(each.cmdline())])
    found = [line for path in adapter.logs("loud") for line in re.findall(rb"L(\d{9}) x{88}\n", path.read_bytes())]
    took = float(account.read_text())
    return [
        ("lines a second", (LINES / took,), "1/s", ">= 100000"),
        ("lines lost, cut or doubled", (LINES - len(set(found)) + len(found) - len(set(found)),), "", "0"),
        ("processor time for these lines", (spent,), "s", ""),
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


def _processor(processes: Sequence[psutil.Process]) -> float:
    times = (each.cpu_times() for each in processes if each.is_running())
    return sum(each.user + each.system for each in times)


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
