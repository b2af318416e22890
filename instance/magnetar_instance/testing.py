"""Unit tests of functions without a broker: a context in memory, which calls a function and keeps what it did.

context = MemoryContext(user_config={"limit": 3})
assert context.call(Exclaim(), "hello") == "hello!"
assert context.published == [] and context.get_counter("seen") == 1
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import _pulsar
import pulsar

from magnetar_instance.api import InputMessage, batch_options
from magnetar_instance.context import FunctionContext
from magnetar_instance.errors import StateError
from magnetar_instance.figures import Figures
from magnetar_instance.functions import Process
from magnetar_instance.messages import INPUT_ID, INPUT_TOPIC
from magnetar_instance.proto.function import ConsumerSpec, FunctionDetails, SinkSpec, SourceSpec
from magnetar_instance.publishing import Publisher
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.state import StateEntry

_NUMBER_BITS = 63


@dataclass(frozen=True)
class Published:
    """What a function published; `properties` are without those that tell which input it came from."""

    topic: str
    data: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class MemoryState:
    """The state of one function, in memory; a StateStore."""

    def __init__(self) -> None:
        self.entries: dict[str, StateEntry] = {}

    def _version(self, key: str) -> int:
        return self.entries[key].version + 1 if key in self.entries else 0

    def get(self, key: str) -> StateEntry | None:
        """Return what is kept under a key."""
        return self.entries.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key."""
        self.entries[key] = StateEntry(self._version(key), value=value)

    def set_number(self, key: str, number: int) -> None:
        """Keep a counter under a key."""
        self.entries[key] = StateEntry(self._version(key), number=number)

    def add(self, key: str, amount: int) -> None:
        """Add to a counter. Raises StateError for bytes, and beyond 64 bits."""
        known = self.entries.get(key)
        if known is not None and known.number is None:
            raise StateError(f"the key {key!r} holds bytes and no counter: get_state reads it")
        number = amount + (known.number or 0 if known else 0)
        if not -(1 << _NUMBER_BITS) <= number < 1 << _NUMBER_BITS:
            raise StateError(f"the counter {key!r} would be {number}, which 64 bits do not hold")
        self.set_number(key, number)

    def delete(self, key: str) -> None:
        """Keep nothing under a key."""
        self.entries.pop(key, None)

    def sync(self) -> None:
        """Do nothing: memory survives nothing."""

    def close(self) -> None:
        """Do nothing."""


class MemoryContext(FunctionContext):
    """A context for unit tests, with the methods of the real one; `published` and `acknowledged` tell what was done."""

    def __init__(
        self,
        *,
        user_config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        input_topic: str = "persistent://public/default/in",
        output_topic: str = "persistent://public/default/out",
        name: str = "function",
    ) -> None:
        self.published: list[Published] = []
        self.acknowledged: list[pulsar.MessageId] = []
        self._input_topic = input_topic
        self._count = 0
        details = FunctionDetails(
            tenant="public",
            namespace="default",
            name=name,
            userConfig=json.dumps(dict(user_config or {})),
            secretsMap=json.dumps(dict(secrets or {})),
            source=SourceSpec(inputSpecs={input_topic: ConsumerSpec()}),
            sink=SinkSpec(topic=output_topic),
        )
        settings = InstanceSettings(details, 0, f"{name}-id", "1", Path(f"{name}.py"), "", "test")
        super().__init__(
            settings,
            Figures(settings),
            cast("Publisher", self),
            lambda _, value: str(value),
            logging.getLogger(name),
            lambda identity, _topic: self.acknowledged.append(identity),
            _no_import,
            None,
            MemoryState(),
        )
        self.receive(InputMessage(b"", input_topic))

    def receive(self, message: InputMessage) -> None:
        """Make a message the current one."""
        self._count += 1
        self.current = _Message(message, _pulsar.MessageId(-1, 1, self._count, -1))

    def call(self, function: object, *inputs: object) -> Any:
        """Call a function, or the object's `process`, as an instance does, and return its result.

        Inputs are values or InputMessages: one, for `@batch` functions as many as the list is to have. A coroutine is run to
        its end; inside a running event loop, await the function itself. Raises TypeError for no input, or too many.
        """
        process = _process_of(function)
        is_batch = batch_options(process) is not None
        if not inputs or (len(inputs) > 1 and not is_batch):
            raise TypeError(f"{len(inputs)} inputs: give one; a list is for @batch functions, and call_window")
        messages = [self._message(each) for each in inputs]
        return self._called(process, messages, messages if is_batch else messages[0].value)

    def call_window(self, function: object, *inputs: object) -> Any:
        """Call a function, or the object's `process`, with one window that has these inputs."""
        messages = [self._message(each) for each in inputs]
        return self._called(_process_of(function), messages, messages)

    def _called(self, process: Process, messages: list[InputMessage], given: object) -> Any:
        self.receive(messages[-1])
        takes_context = len(inspect.signature(process).parameters) > 1
        result = process(given, self) if takes_context else process(given)
        return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result

    def _message(self, given: object) -> InputMessage:
        return given if isinstance(given, InputMessage) else InputMessage(given, self._input_topic)

    def send(
        self,
        topic: str,
        data: bytes,
        properties: Mapping[str, str],
        _apart: object,
        *,
        options: Mapping[str, Any] | None = None,
        callback: Callable[..., None] | None = None,
        **_others: object,
    ) -> None:
        """Keep what `publish` hands over; its callback hears at once that the broker has it."""
        own = {name: value for name, value in properties.items() if name not in (INPUT_TOPIC, INPUT_ID)}
        self.published.append(Published(topic, data, own, dict(options or {})))
        if callback is not None:
            callback(pulsar.Result.Ok, _pulsar.MessageId(-1, 2, len(self.published), -1))

    def get_pulsar_client(self) -> pulsar.Client:
        """Raise RuntimeError: there is no broker."""
        raise RuntimeError("a unit test has no broker: use the fixture pulsar_broker of magnetar_broker.testing")


@dataclass(frozen=True)
class _Message:
    """An InputMessage in the form of the client's messages."""

    shown: InputMessage
    identity: Any

    def message_id(self) -> Any:
        return self.shown.message_id or self.identity

    def topic_name(self) -> str:
        return self.shown.topic

    def partition_key(self) -> str:
        return self.shown.key

    def ordering_key(self) -> str:
        return ""

    def event_timestamp(self) -> int:
        return self.shown.event_time

    def publish_timestamp(self) -> int:
        return self.shown.publish_time

    def properties(self) -> Mapping[str, str]:
        return self.shown.properties


def _process_of(function: object) -> Process:
    return cast("Process", getattr(function, "process", function))


async def _awaited(result: Any) -> Any:
    return await result


def _no_import(name: str) -> ModuleType:
    raise ImportError(f"{name}: a unit test imports its own classes")
