"""Java and Go functions in the process runtime, for tests: messages in and out, and what the supervisor sees of them."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pulsar
from instance_process import collect, produce, unique
from magnetar.model import FunctionConfig, infer, to_details
from magnetar.runtimes.base import BootFailed
from magnetar.runtimes.process.go import GoLanguage
from magnetar.runtimes.process.java import JavaLanguage
from magnetar.runtimes.process.launch import Language
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.control import FunctionStatus
from magnetar_instance.proto.function import FunctionDetails
from supervised import Processes, Running, client_of, processes, spec_of

PATIENCE = 240.0
"""Seconds for one test: a JVM takes its time where others want the processors, too."""


def java(settings: ProcessSettings) -> Mapping[str, Language]:
    from toolchains import java_settings

    return {"JAVA": JavaLanguage(settings, java_settings())}


def go(settings: ProcessSettings) -> Mapping[str, Language]:
    return {"GO": GoLanguage(settings)}


def function(**fields: Any) -> FunctionDetails:
    """A function as a worker makes it of a config: every default filled in."""
    config = {
        "tenant": "public",
        "namespace": "default",
        "name": f"f{uuid.uuid4().hex[:8]}",
        "inputs": [unique("in")],
        "output": unique("out"),
        "subscriptionPosition": "Earliest",
        "resources": {"ram": 2**28},
        **fields,
    }
    return to_details(infer(FunctionConfig.model_validate(config)))


class Bench:
    """A process runtime, and a client that talks to its functions."""

    def __init__(self, world: Processes, client: pulsar.Client) -> None:
        self.world = world
        self.client = client

    async def start(self, details: FunctionDetails, code: Path) -> Running:
        return await self.world.ready(spec_of(details, code))

    async def refused(self, details: FunctionDetails, code: Path) -> BootFailed:
        """Start an instance that can't run; returns what is told of it."""
        running = await self.world.start(spec_of(details, code))
        await running.until(lambda told: any(isinstance(each, BootFailed) for each in told))
        return next(each for each in running.told if isinstance(each, BootFailed))

    async def exchange(self, details: FunctionDetails, *texts: str, count: int | None = None) -> list[str]:
        """Send texts; returns as many outputs."""
        topic = next(iter(details.source.inputSpecs))
        await self._blocking(produce, topic, [text.encode() for text in texts])
        wanted = len(texts) if count is None else count
        return await self.collect(details.sink.topic, wanted) if wanted else []

    async def collect(self, topic: str, count: int) -> list[str]:
        messages = await self._blocking(collect, topic, count)
        return [message.data().decode() for message in messages]

    async def collect_all(self, topic: str, texts: set[str]) -> None:
        """Read a topic from its beginning until it has held all these texts; any of them may come more than once."""
        await self._blocking(_collect_all, topic, texts)

    async def _blocking(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(partial(work, self.client, *arguments))


def _collect_all(client: pulsar.Client, topic: str, texts: set[str]) -> None:
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    try:
        missing = set(texts)
        while missing:
            missing.discard(reader.read_next(60_000).data().decode())
    finally:
        reader.close()


@contextlib.asynccontextmanager
async def bench(
    broker: RunningBroker,
    folder: Path,
    languages: Callable[[ProcessSettings], Mapping[str, Language]],
    **changes: object,
) -> AsyncIterator[Bench]:
    """A process runtime for functions of a language; whatever a test started has ended afterwards, also when it failed."""
    with client_of(broker.service_url) as client:
        async with processes(broker.service_url, folder, languages=languages, patience=PATIENCE, **changes) as world:
            try:
                yield Bench(world, client)
            finally:
                await world.end()


async def status_once(running: Running, condition: Callable[[FunctionStatus], bool]) -> FunctionStatus:
    """Ask for the status until it is as wanted."""
    while not condition(status := await running.instance.status()):
        await anyio.lowlevel.checkpoint()
    return status
