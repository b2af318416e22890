"""Logs that nobody writes to cost nothing: the kernel watches them."""

import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from magnetar.log_files.names import rotated
from magnetar.log_files.policy import LogPolicy
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
LOGS = 50


def watched() -> int:
    """Return how many files the kernel watches for this process."""
    found = 0
    for info in Path("/proc/self/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # the directory's own
            found += info.read_text().count("inotify wd:")
    return found


async def until_watched(count: int) -> None:
    while watched() != count:  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.02)


async def test_quiet_logs_are_left_to_the_kernel_and_one_that_grows_is_rotated(tmp_path: Path) -> None:
    """Logs that stopped growing are watched by no timer; one that is written to again is rotated, and left alone again."""
    logs = [tmp_path / f"f-{number}.log" for number in range(LOGS)]
    before = watched()
    with anyio.fail_after(60):
        async with LogRotator(LogPolicy(max_bytes=2**16), worker_logger()) as rotator:
            for log in logs:
                log.write_text("a line\n")
                rotator.attend(log, None)
            await until_watched(before + LOGS)
            with logs[7].open("a") as file:
                file.write("another line\n" * 10_000)
            while not rotated(logs[7]):  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.02)
            await until_watched(before + LOGS)
    assert watched() == before
