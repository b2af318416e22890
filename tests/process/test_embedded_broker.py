import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
from magnetar.embedded_broker import BrokerProcessSettings, EmbeddedBroker
from magnetar.errors import StartError
from magnetar.logs import worker_logger
from magnetar.policy.restart import RestartPolicy
from magnetar.processes.launcher import Launcher
from magnetar.processes.watch import until_ended

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def broker(tmp_path: Path, port: int = 0) -> AsyncIterator[EmbeddedBroker]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    settings = BrokerProcessSettings(tmp_path / "broker", tmp_path / "broker.log", "127.0.0.1", port, 0, environment)
    with anyio.fail_after(40):
        async with (
            Launcher() as launcher,
            EmbeddedBroker(settings, launcher.spawn, RestartPolicy(), worker_logger()) as made,
        ):
            yield made


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/admin/v2/clusters")).status_code == 200


async def test_it_is_ready_when_entered_and_gone_when_left(tmp_path: Path) -> None:
    """The admin API answers inside the context; no process is left after it."""
    async with broker(tmp_path) as made:
        assert await answers(made.addresses.admin_url)
        pid = made.pid
    assert not psutil.pid_exists(pid)


async def test_a_killed_broker_comes_back_at_its_addresses(tmp_path: Path) -> None:
    """After kill -9 a new process serves the same ports."""
    async with broker(tmp_path) as made:
        before, pid = made.addresses, made.pid
        pidfd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        await until_ended(pidfd)
        os.close(pidfd)
        while made.pid == pid or not await reachable(made.addresses.admin_url):
            await anyio.wait_all_tasks_blocked()
        assert made.addresses == before
        assert made.restarts == 1


async def reachable(url: str) -> bool:
    try:
        return await answers(url)
    except httpx.TransportError:
        return False


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """A broker that cannot listen is a failed start whose message is the broker's own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=str(port)):
            async with broker(tmp_path, port):
                pass
