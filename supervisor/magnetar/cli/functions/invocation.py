"""One value sent to a function, deployed or not, and what came of it."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from magnetar.broker_admin import BrokerAdmin
from magnetar.cli.connection import Connection, ask
from magnetar.cli.dev.sources import source
from magnetar.cli.functions.answers import answer_of, trouble
from magnetar.cli.functions.config import Given
from magnetar.cli.functions.reports import states_of
from magnetar.cli.functions.waiting import until_running
from magnetar.cli.output import warn
from magnetar.cli.own_worker import with_own_worker
from magnetar.client import WorkerClient
from magnetar.errors import RefusedByWorkerError, RequestError, TimedOutError
from magnetar.model.function import FunctionConfig
from magnetar.model.names import FunctionName, full_topic, namespace_of
from magnetar.server import Server
from magnetar.tasks import unless

_TIMED_OUT = 408
_INPUT, _OUTPUT = "invoke-in", "invoke-out"
_LOOK = 0.2
_SILENCE = 2.0
"""Seconds after which a value that was processed, and of which nothing came, has no answer."""
_LOG = 10_000


@dataclass(frozen=True)
class _Answer:
    text: str | None


@dataclass(frozen=True)
class Event:
    """What is sent, a text or a file, and how long an answer is waited for; seconds."""

    value: str | None
    file: Path | None
    topic: str | None
    timeout: float


def answer_of_worker(connection: Connection, name: FunctionName, event: Event) -> str | None:
    """Return what a deployed function answers, None when there is nothing, which is told. Raises what a client raises."""

    async def work(worker: WorkerClient) -> str | None:
        try:
            answer = await answer_of(worker, name, lambda: _sent(worker, name, event, event.topic))
        except RefusedByWorkerError as error:
            if error.status == _TIMED_OUT and (why := trouble(await states_of(worker, name))):
                raise TimedOutError(f"{error.reason}; its last exception: {why}") from None
            raise
        if answer == "" and not (await worker.functions.get(name)).output:
            warn("the function has no output topic: the value was sent, and nothing comes back")
            return None
        return answer

    return ask(connection, work)


def answer_here(path: Path, event: Event) -> str | None:
    """Return what a function that lies here answers, None for nothing, which is told; its log goes to standard error.

    Raises UsageError, ConfigError and RefusedError for what is no function, RequestError when it fails.
    """
    given = source(path).read()
    for sentence in given.warnings:
        warn(sentence)

    async def work(server: Server, client: WorkerClient) -> _Answer:
        values, topic = _for_one_value(given, event.topic)
        async with BrokerAdmin(server.addresses.broker_admin) as admin:
            await _make_namespaces(admin, given.name, values)
        await client.functions.create(values, file=given.file, url=given.url)
        try:
            await until_running(client, given.name, None, event.timeout, lambda _text: None)
        except RequestError as error:
            shown = await _show_log(client, given.name, 0)
            raise (RequestError(str(error).partition("\n")[0]) if shown else error) from None
        before = len(await client.magnetar.log(given.name, tail=_LOG))
        try:
            return _Answer(await _answered(client, given.name, event, topic))
        finally:
            await _show_log(client, given.name, before)

    answer = with_own_worker(work, level=logging.CRITICAL)
    if answer is None:
        raise KeyboardInterrupt
    if answer.text is None:
        warn(f"{given.name.name} processed the value and returned nothing")
    return answer.text


async def _show_log(client: WorkerClient, name: FunctionName, before: int) -> bool:
    lines = (await client.magnetar.log(name, tail=_LOG))[before:]
    for each in lines:
        sys.stderr.write(each.line + "\n")
    return bool(lines)


def _for_one_value(given: Given, topic: str | None) -> tuple[dict[str, Any], str]:
    """Return the config with what one value needs, and the topic that it goes to."""
    config = given.config
    values = {**given.values, "parallelism": 1, "output": config.output or _OUTPUT}
    topic = topic or next(_inputs(config), None)
    if topic is None:
        values["inputs"] = [_INPUT]
    return values, topic or _INPUT


def _inputs(config: FunctionConfig) -> Iterator[str]:
    """Yield the topics that a function reads and that are no patterns."""
    yield from config.inputs or ()
    yield from config.custom_serde_inputs or ()
    yield from config.custom_schema_inputs or ()
    yield from (topic for topic, how in (config.input_specs or {}).items() if not how.regex_pattern)


async def _make_namespaces(admin: BrokerAdmin, name: FunctionName, values: dict[str, Any]) -> None:
    """Make the namespaces of a function and its topics, as they are where it is deployed."""
    config = FunctionConfig.model_validate(values)
    topics = [full_topic(each) for each in (*_inputs(config), config.output or "") if each]
    clusters = await admin.clusters()
    for namespace in sorted({*map(namespace_of, topics), f"{name.tenant}/{name.namespace}"}):
        await admin.create_tenant(namespace.partition("/")[0], clusters)
        await admin.create_namespace(namespace)


async def _answered(client: WorkerClient, name: FunctionName, event: Event, topic: str) -> str | None:
    """Send the value and return the answer, None for nothing. Raises RequestError as soon as the function has failed."""
    why = ""

    async def hopeless() -> None:
        nonlocal why
        why = await _hopeless(client, name, event.timeout)

    answer = await unless(hopeless, lambda: _sent(client, name, event, topic))
    if answer is None and why:
        raise RequestError(f"{name.name} {why}")
    return answer


async def _sent(client: WorkerClient, name: FunctionName, event: Event, topic: str | None) -> str:
    try:
        with anyio.fail_after(event.timeout):
            return await client.functions.trigger(name, value=event.value, file=event.file, topic=topic)
    except TimeoutError:
        raise TimedOutError(f"{name.fqfn} gave no answer in {event.timeout:g} s: --timeout waits longer") from None


async def _hopeless(client: WorkerClient, name: FunctionName, patience: float) -> str:
    """Return why there will be no answer, once that is certain; empty where nothing was returned."""
    while True:
        states = await states_of(client, name)
        if why := trouble(states):
            return f"failed: {why}"
        if sum(each.num_successfully_processed for each in states):
            await anyio.sleep(min(_SILENCE, patience))
            return ""
        await anyio.sleep(_LOOK)
