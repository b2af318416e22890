import asyncio
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import psutil
import pulsar
import pytest
from magnetar.config import WorkerConfig
from magnetar.server import Server
from magnetar.standalone import StandaloneOptions, standalone_config
from magnetar.worker import Worker

pytestmark = pytest.mark.anyio
CODE = b"def process(input):\n    return f'{input}!'\n"
THREAD = json.dumps({"magnetar": {"runtime": "thread"}})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def embedded(data: Path) -> WorkerConfig:
    """A worker with a broker of its own in somebody's program: no subreaper, which concerns the whole process."""
    options = StandaloneOptions(data, http_port=0, broker_port=0, health_port=0, metrics_port=0)
    config = standalone_config(options)
    return config.model_copy(update={"magnetar": config.magnetar.model_copy(update={"subreaper": False})})


async def create(url: str, name: str, options: str | None) -> None:
    config = {"className": "f", "runtime": "PYTHON", "inputs": [f"{name}-in"], "output": f"{name}-out"}
    config |= {"subscriptionPosition": "Earliest"} | ({"customRuntimeOptions": options} if options else {})
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        parts = {"functionConfig": (None, json.dumps(config), "application/json"), "data": ("f.py", CODE)}
        answer = await http.post(f"/admin/v3/functions/public/default/{name}", files=parts)
        assert answer.status_code == 204, answer.text


async def flow(url: str, name: str, data: bytes) -> bytes:
    def go() -> bytes:
        client = pulsar.Client(url, logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull))
        consumer = client.subscribe(f"{name}-out", "test")
        client.create_producer(f"{name}-in").send(data)
        content: bytes = consumer.receive(30_000).data()
        client.close()
        return content

    return await anyio.to_thread.run_sync(go)


def whats_the_programs() -> tuple[object, ...]:
    """Signals, streams and logging of this process."""
    return (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        signal.getsignal(signal.SIGCHLD),
        sys.stdout,
        sys.stderr,
        list(logging.getLogger().handlers),
        logging.getLogger("magnetar").handlers,
    )


async def test_two_servers_run_in_one_program_and_leave_it_as_it_was(tmp_path: Path) -> None:
    """Each has its own directory, ports, launcher and broker; signals, logging and streams stay the program's."""
    before = whats_the_programs()
    tasks = asyncio.all_tasks()
    elsewhere = set(psutil.Process().children(recursive=True))
    with anyio.fail_after(55):
        async with Server(embedded(tmp_path / "a")) as one, Server(embedded(tmp_path / "b")) as two:
            assert signal.getsignal(signal.SIGINT) is before[0]
            for server, options in ((one, THREAD), (two, None)):
                await create(server.addresses.http, "ex", options)
            assert await flow(one.addresses.broker, "ex", b"a") == b"a!"
            assert await flow(two.addresses.broker, "ex", b"b") == b"b!"
            assert {view.runtime for view in one.worker.instances.views()} == {"thread"}
            assert {view.runtime for view in two.worker.instances.views()} == {"process"}
            below = set(psutil.Process().children(recursive=True)) - elsewhere
    assert whats_the_programs() == before
    assert asyncio.all_tasks() == tasks
    assert not psutil.wait_procs(below, timeout=5)[1]
    assert not [each for each in threading.enumerate() if "public/default/ex" in each.name]


async def test_a_worker_alone_runs_beside_other_things(tmp_path: Path) -> None:
    """`async with Worker(config)` needs no server: the program's own tasks go on while functions run."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.lowlevel.checkpoint()
            ticks += 1

    with anyio.fail_after(55):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            async with Worker(embedded(tmp_path)) as worker:
                assert worker.readiness.ready
                assert worker.coordination.is_leader
                assert worker.functions.names("public", "default") == []
                assert "pulsar_function_worker_is_leader" in await worker.metrics_text()
            tasks.cancel_scope.cancel()
    assert ticks > 100
