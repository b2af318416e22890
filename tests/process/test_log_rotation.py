"""Logs under rotation while they are written as fast as their writers can, with every line counted afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from magnetar.log_files.following import FollowedLog
from magnetar.log_files.head import head_of
from magnetar.log_files.names import rotated
from magnetar.log_files.policy import LogPolicy
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger

# Holds its log by an inherited descriptor, as Go does: one write for each line, at 100,000 lines a second or what it can.
HOLDS = """
import os, sys, time
begun = time.monotonic()
for number in range(int(sys.argv[1])):
    os.write(1, b"%08d %s\\n" % (number, b"x" * 91))
    if number % 1000 == 0:
        os.write(2, b"%d\\n" % number)
        time.sleep(max(0, number / 100_000 - (time.monotonic() - begun)))
"""
# Logs by the instance's own file, which is opened anew for each line on standard input.
REOPENS = """
import logging, os, sys, threading
from pathlib import Path
from magnetar_instance.logs import LogFile
file = LogFile(Path(sys.argv[2]))
file.lead(1)
threading.Thread(target=lambda: [file.reopen() for _ in sys.stdin], daemon=True).start()
logger = logging.Logger("f")
logger.addHandler(file)
for number in range(int(sys.argv[1])):
    logger.info("%08d %s", number, "x" * 40)
    if number % 1000 == 0:
        os.write(2, b"%d\\n" % number)
"""
# Rotates as often as it can, in a process that is killed again and again.
DIES = """
import os, random, signal, sys, time
from pathlib import Path
from magnetar.log_files.rotation import recover, rotate_in_place, size_of_lines
log = Path(sys.argv[1])
for _ in range(25):
    child = os.fork()
    if child == 0:
        recover(log, 999)
        while True:
            if size_of_lines(log) > 2**18:
                rotate_in_place(log, 999)
    time.sleep(random.uniform(0.002, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
POLICY = LogPolicy(max_bytes=2**20, files=999, total_bytes=0)


@pytest.fixture(params=["disk", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A log in the temporary directory, and one in memory, where the head of a file leaves a hole."""
    if request.param == "disk":
        yield tmp_path / "f-0.log"
        return
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("there is no /dev/shm")
    directory = shared / f"magnetar-{os.getpid()}-{tmp_path.name}"
    directory.mkdir()
    try:
        yield directory / "f-0.log"
    finally:
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()


@contextmanager
def program(code: str, *arguments: str, output: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program; its standard output is appended to a file as an instance's is."""
    target = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        started = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=target,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
    finally:
        os.close(target)
    with started:
        try:
            yield started
        finally:
            started.kill()


def number_of(line: str) -> int:
    """Return the number of a line; one that is not whole fails the test."""
    number, text = line.split()[-2:]
    assert len(number) == 8
    assert set(text) == {"x"}
    assert len(text) == (40 if line.startswith("[") else 91)
    return int(number)


def lines_of(log: Path) -> list[str]:
    """Return all lines of a log, from its oldest file on."""
    files = [*(file.path for file in reversed(rotated(log))), log]
    return [line.decode() for file in files for line in content(file)]


def content(path: Path) -> list[bytes]:
    if not path.exists():
        return []  # its writer died before it opened the log anew
    with path.open("rb") as file:
        file.seek(head_of(file.fileno()).offset)
        return file.read().splitlines()


def killed(writer: "subprocess.Popen[bytes]") -> int:
    """Kill a writer as by a crash, and return how many lines it had told of."""
    writer.kill()
    writer.wait()
    assert writer.stderr is not None
    return int(writer.stderr.read().split()[-1])


def tell(writer: "subprocess.Popen[bytes]") -> None:
    """Have a writer open its log anew, if it lives."""
    assert writer.stdin is not None
    with suppress(BrokenPipeError):
        writer.stdin.write(b"\n")


async def until_rotated(log: Path, times: int) -> None:
    while len(rotated(log)) < times:  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.01)


async def test_a_writer_that_holds_its_log_loses_nothing(log: Path) -> None:
    """Twenty rotations under 100,000 lines a second, 25 deaths of the worker and one of the writer: each line once."""
    with anyio.fail_after(60), program(HOLDS, str(10**9), output=log) as writer:
        await until_written(log)
        await anyio.to_thread.run_sync(lambda: subprocess.run([sys.executable, "-c", DIES, str(log)], check=True))
        async with LogRotator(POLICY, worker_logger()) as rotator:
            rotator.attend(log, None)
            await until_rotated(log, len(rotated(log)) + 10)
            lines = killed(writer)
    found = [number_of(line) for line in lines_of(log)]
    assert found == list(range(len(found)))
    assert len(found) > lines > 20_000


async def test_a_writer_that_reopens_its_log_loses_nothing(tmp_path: Path) -> None:
    """Each line is there once after ten rotations and the writer's death, and came once to who followed meanwhile."""
    log, followed = tmp_path / "f-0.log", list[str]()
    with anyio.fail_after(60), program(REOPENS, str(10**9), str(log)) as writer:
        await until_written(log)
        following = FollowedLog(log)
        async with LogRotator(POLICY, worker_logger()) as rotator:
            rotator.attend(log, lambda: tell(writer))
            while len(rotated(log)) < 10:
                followed += await anyio.to_thread.run_sync(following.new_lines)
            lines = killed(writer)
        while more := following.new_lines() or following.new_lines():
            followed += more
        following.close()
    found = [number_of(line) for line in lines_of(log)]
    assert found == list(range(len(found)))
    assert len(found) > lines > 20_000
    came = [number_of(line) for line in followed]
    assert came == list(range(came[0], len(found)))


async def until_written(log: Path) -> None:
    while not log.exists() or not log.stat().st_size:  # noqa: ASYNC110, ASYNC240 - nobody tells
        await anyio.sleep(0.01)
