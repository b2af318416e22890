import os
import socket
from pathlib import Path

import anyio
import pulsar
import pytest
from instance_process import collect, command_line, details, free_port, produce, unique
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.watch import ExitStatus
from magnetar.processes.zygote import Zygote
from magnetar_broker.testing import RunningBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_zygote_forks_an_instance_that_processes(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """The forked instance says that it is ready, processes, sees its PYTHONPATH first, and stops on SIGTERM."""
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/helper.py").write_text("SIGN = '?'\n")
    (tmp_path / "ask.py").write_text("import helper\ndef process(input):\n    return input + helper.SIGN\n")
    source, sink = unique("in"), unique("out")
    function = details("ask", [source], sink)
    arguments = command_line(
        function, tmp_path / "ask.py", pulsar_broker.service_url, free_port(), free_port(), tmp_path / "logs", 0
    )
    ours, theirs = socket.socketpair()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "extra")}
    with anyio.fail_after(30):
        async with Launcher() as launcher, anyio.create_task_group() as tasks:
            zygote = Zygote(launcher, environment)
            tasks.start_soon(zygote.run)
            wanted = Spawn(
                ["instance", *arguments], environment, descriptors={"MAGNETAR_SUPERVISOR_FD": theirs.fileno()}
            )
            child = await zygote.spawn(wanted)
            theirs.close()
            ours.setblocking(False)
            await anyio.wait_readable(ours)
            assert b'"ready"' in ours.recv(1000)
            messages = await anyio.to_thread.run_sync(exchange, pulsar_broker.service_url, source, sink)
            assert messages == [b"really?"]
            assert await child.stop(10) == ExitStatus(code=0)
            tasks.cancel_scope.cancel()
    ours.close()


def exchange(service_url: str, source: str, sink: str) -> list[bytes]:
    client = pulsar.Client(service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        produce(client, source, [b"really"])
        return [message.data() for message in collect(client, sink, 1)]
    finally:
        client.close()
