"""What an instance weighs; the bounds leave room for other machines, the figures are in docs/architecture.md."""

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pulsar
from instance_process import collect, command_line, details, free_port, produce, running, unique
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.zygote import Zygote
from magnetar_broker.testing import RunningBroker

MIB = 2**20
FORKED, EXECUTED = 14 * MIB, 45 * MIB
CODE = "def process(input):\n    return input\n"
HEAVY = {
    "email.parser",
    "importlib.resources",
    "magnetar",
    "multiprocessing",
    "opentelemetry",
    "prometheus_client",
    "sqlite3",
    "tomllib",
    "unittest",
}
"""Modules that most instances never need."""


def own_memory(pid: int) -> int:
    """Return the bytes that no other process shares."""
    return int(psutil.Process(pid).memory_full_info().uss)


def test_importing_the_instance_brings_nothing_that_few_need() -> None:
    """It is what every start by exec waits for."""
    script = "import magnetar_instance.main, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(done.stdout)) == set()


def test_importing_the_instance_takes_little(tmp_path: Path) -> None:
    """In seconds of a core, the least of several, beyond what the interpreter takes by itself."""
    assert cost("import magnetar_instance.main") - cost("pass") < 0.6


def cost(script: str) -> float:
    return min(_once(script) for _ in range(5))


def _once(script: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_an_instance_by_exec_is_light(pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path) -> None:
    """Connected, subscribed, and used."""
    source, sink = unique("in"), unique("out")
    (tmp_path / "same.py").write_text(CODE)
    function = details("same", [source], sink)
    with running(function, tmp_path / "same.py", pulsar_broker.service_url, logs=tmp_path / "logs") as instance:
        produce(client, source, [b"x"] * 100)
        collect(client, sink, 100)
        assert instance.status().numReceived == 100
        assert own_memory(instance.process.pid) < EXECUTED


async def test_an_instance_from_a_zygote_is_lighter(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """What the zygote imported stays shared."""
    source, sink = unique("in"), unique("out")
    (tmp_path / "same.py").write_text(CODE)
    arguments = command_line(
        details("same", [source], sink),
        tmp_path / "same.py",
        pulsar_broker.service_url,
        free_port(),
        free_port(),
        tmp_path / "logs",
        0,
    )
    ours, theirs = socket.socketpair()
    environment = {"PATH": os.environ["PATH"]}
    with ours, theirs, anyio.fail_after(60):
        async with Launcher() as launcher, anyio.create_task_group() as tasks:
            zygote = Zygote(launcher, environment)
            tasks.start_soon(zygote.run)
            descriptors = {"MAGNETAR_SUPERVISOR_FD": theirs.fileno()}
            child = await zygote.spawn(Spawn(["instance", *arguments], environment, descriptors=descriptors))
            ours.setblocking(False)
            await anyio.wait_readable(ours)
            assert b'"ready"' in ours.recv(1000)
            await anyio.to_thread.run_sync(exchange, pulsar_broker.service_url, source, sink)
            weight = own_memory(child.pid)
            await child.stop(10)
            tasks.cancel_scope.cancel()
    assert weight < FORKED


def exchange(service_url: str, source: str, sink: str) -> None:
    client = pulsar.Client(service_url, logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull))
    try:
        produce(client, source, [b"x"] * 100)
        collect(client, sink, 100)
    finally:
        client.close()
