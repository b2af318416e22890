"""A stuck function comes back at each moment of its being given up; a broker that holds its answers makes the moments."""

import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import pulsar
import pytest
from holding_broker import HoldingBroker, holding_broker
from magnetar.runtimes.base import InstanceSpec, Ready
from magnetar.runtimes.thread.instance import ThreadInstance
from magnetar.runtimes.thread.runtime import ThreadRuntime
from magnetar.runtimes.thread.settings import ThreadSettings
from magnetar_broker.wire.proto.pulsar_api import BaseCommand
from magnetar_instance import closable as closing
from magnetar_instance.closable import closable
from process.test_thread_runtime import GRACE, Gate, code, ended, first, send, spec, threads
from supervised import client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stuck:
    """A function that stands at a gate, in a runtime whose broker a test holds."""

    def __init__(self, broker: HoldingBroker, runtime: ThreadRuntime, wanted: InstanceSpec, gate: Gate) -> None:
        self.broker = broker
        self.runtime = runtime
        self.wanted = wanted
        self.gate = gate
        self.instance: ThreadInstance

    async def start(self) -> None:
        """Start it, and have it take one message and come to the gate."""
        self.instance = await self.runtime.start(self.wanted)
        assert isinstance(await first(self.instance), Ready)
        await anyio.to_thread.run_sync(self._send)
        await self.gate.reached()

    def _send(self) -> None:
        with client_of(self.broker.url) as client:
            send(client, self.wanted)

    async def successor_gets(self) -> bytes:
        """Return what a successor makes of the message."""
        successor = await self.runtime.start(self.wanted)
        assert isinstance(await first(successor), Ready)
        made = await anyio.to_thread.run_sync(self._output)
        await successor.stop(30)
        return made

    def _output(self) -> bytes:
        with client_of(self.broker.url) as client:
            options = {"initial_position": pulsar.InitialPosition.Earliest}
            content: bytes = client.subscribe(self.wanted.details.sink.topic, "test", **options).receive(30_000).data()
            return content


@contextlib.asynccontextmanager
async def stuck(tmp_path: Path) -> AsyncIterator[Stuck]:
    gate = Gate(tmp_path)
    wanted = spec(code(tmp_path / "code", f"{gate.function}    return b'done'\n"))
    wanted.details.retainOrdering = True
    with anyio.fail_after(55):
        async with holding_broker(tmp_path / "broker") as broker:
            settings = ThreadSettings(broker.url, "test", tmp_path / "logs", tmp_path / "download", group_name="group")
            async with ThreadRuntime(settings) as runtime:
                made = Stuck(broker, runtime, wanted, gate)
                await made.start()
                yield made
                await ended(threads())


async def returned(instance: ThreadInstance) -> None:
    """Wait until the function has come back, and let its thread end if it would."""
    while "function.py" in instance.stuck_at():
        await anyio.lowlevel.checkpoint()
    for each in threads():
        await anyio.to_thread.run_sync(each.join, 0.2)


async def test_one_that_comes_back_after_its_client_was_closed_changes_nothing(tmp_path: Path) -> None:
    """When `stop` is over the client is closed, so its message is the successor's alone."""
    async with stuck(tmp_path) as world:
        await world.instance.stop(GRACE)
        assert world.instance.closed.is_set()
        world.gate.open(always=True)
        await ended(threads())
        assert await world.successor_gets() == b"done"


async def test_one_that_comes_back_while_its_client_is_closed_ends_with_it(tmp_path: Path) -> None:
    """Nobody is told that the client is closed before it is: neither by the thread nor by `stop`."""
    async with stuck(tmp_path) as world:
        world.broker.hold(BaseCommand.CLOSE_CONSUMER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.instance.stop, GRACE)
            await world.broker.holds(BaseCommand.CLOSE_CONSUMER)
            world.gate.open(always=True)
            await returned(world.instance)
            assert world.instance.alive
            assert not world.instance.closed.is_set()
            assert not world.instance._over.is_set()
            world.broker.release(BaseCommand.CLOSE_CONSUMER)
        assert world.instance.closed.is_set()
        await ended(threads())
        assert await world.successor_gets() == b"done"


async def test_one_that_comes_back_and_asks_the_broker_when_its_client_is_closed_ends(tmp_path: Path) -> None:
    """Its thread does not wait for ever for the producer that nobody will make."""
    async with stuck(tmp_path) as world:
        world.broker.hold(BaseCommand.PRODUCER)
        world.gate.open(always=True)
        await world.broker.holds(BaseCommand.PRODUCER)
        await world.instance.stop(GRACE)
        await ended(threads())
        world.broker.release(BaseCommand.PRODUCER)
        assert await world.successor_gets() == b"done"


async def test_a_client_that_the_broker_does_not_close_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while its connection goes, and with it the subscription."""
    monkeypatch.setattr(closing, "_CLOSE_SECONDS", 0.3)
    async with stuck(tmp_path) as world:
        world.broker.hold(BaseCommand.CLOSE_CONSUMER)
        await world.instance.stop(GRACE)
        assert world.instance.closed.is_set()
        world.gate.open(always=True)
        await ended(threads())
        world.broker.release(BaseCommand.CLOSE_CONSUMER)
        assert await world.successor_gets() == b"done"


@pytest.mark.parametrize("kind", [BaseCommand.PRODUCER, BaseCommand.SUBSCRIBE])
async def test_closing_ends_what_the_broker_does_not_answer(kind: int, tmp_path: Path) -> None:
    """The official client alone would let the caller wait for ever."""
    outcome: list[Exception] = []
    with anyio.fail_after(55):
        async with holding_broker(tmp_path) as broker:
            client = closable(pulsar.Client(broker.url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)))

            def make() -> None:
                try:
                    client.create_producer("t") if kind == BaseCommand.PRODUCER else client.subscribe("t", "s")
                except pulsar.AlreadyClosed as error:
                    outcome.append(error)

            broker.hold(kind)
            thread = threading.Thread(target=make, daemon=True)
            thread.start()
            await broker.holds(kind)
            await anyio.to_thread.run_sync(client.close)
            await anyio.to_thread.run_sync(thread.join, 30)
            assert outcome
            with pytest.raises(pulsar.AlreadyClosed):
                client.create_producer("t")
