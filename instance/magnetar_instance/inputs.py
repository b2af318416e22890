"""The consumers of an instance and the batches that come from them."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulsar

from magnetar_instance.proto.function import EARLIEST, FAILOVER, ConsumerSpec
from magnetar_instance.serde import SerDe, serde_for
from magnetar_instance.settings import InstanceSettings

BATCH = 500
"""Messages that are taken at once when many wait; the figures behind it were measured with the official client."""


@dataclass(eq=False)
class Input:
    """One consumer and how its messages are read."""

    consumer: pulsar.Consumer
    serde: SerDe
    topic: str


@dataclass(frozen=True)
class Batch:
    """Messages of one input, in order."""

    source: Input
    messages: list[pulsar.Message]
    more_wait: bool


class Inputs:
    """All inputs of one instance; `next_batch` blocks, `close` from any thread ends it."""

    def __init__(self, client: pulsar.Client, settings: InstanceSettings, thread_name: str) -> None:
        self._settings = settings
        self._thread_name = thread_name
        self.all: list[Input] = []
        self._queue: queue.Queue[Batch | None] = queue.Queue(2)
        self._closed = threading.Event()
        for topic, spec in _specs(settings).items():
            self.all.append(Input(_subscribe(client, settings, topic, spec), _serde(spec), topic))

    def start(self, run: Callable[[Callable[[], None], str], None]) -> None:
        """With several inputs, read each in a thread of its own, started by `run`."""
        if len(self.all) > 1:
            for index, source in enumerate(self.all):
                run(lambda source=source: self._pump(source), f"{self._thread_name}-input-{index}")  # type: ignore[misc]

    def _pump(self, source: Input) -> None:
        while (batch := self._read(source)) is not None:
            self._queue.put(batch)
        self._queue.put(None)

    def next_batch(self) -> Batch | None:
        """Wait for messages; None when the inputs were closed."""
        if len(self.all) == 1:
            return self._read(self.all[0])
        return self._queue.get()

    def _read(self, source: Input) -> Batch | None:
        """Block for the first message, then take what waits: nobody polls, and a lone message goes on at once."""
        try:
            messages = [source.consumer.receive()]
        except pulsar.PulsarException:
            if self._closed.is_set():
                return None
            raise
        receive = source.consumer.receive
        try:
            while len(messages) < BATCH:
                messages.append(receive(0))
        except pulsar.Timeout:
            return Batch(source, messages, more_wait=False)
        except pulsar.PulsarException:
            return Batch(source, messages, more_wait=False)
        return Batch(source, messages, more_wait=True)

    def acknowledge(self, identity: pulsar.MessageId, topic: str) -> None:
        """Acknowledge a message of a topic or of one of its partitions. Raises ValueError for an unknown topic."""
        wanted = {topic, topic.rpartition("-partition-")[0] or topic}
        for source in self.all:
            if (
                source.topic in wanted
                or source.consumer.topic() in wanted
                or _short(source.topic) in map(_short, wanted)
            ):
                source.consumer.acknowledge(identity)
                return
        raise ValueError(f"{topic!r} is no input of this function")

    def close(self) -> None:
        """Wake whoever waits for messages and close the consumers."""
        self._closed.set()
        for source in self.all:
            source.consumer.close()


def _short(topic: str) -> str:
    return topic.removeprefix("persistent://").removeprefix("public/default/")


def _specs(settings: InstanceSettings) -> dict[str, ConsumerSpec]:
    source = settings.details.source
    specs = dict(source.inputSpecs)
    for topic, serde in source.topicsToSerDeClassName.items():
        specs.setdefault(topic, ConsumerSpec(serdeClassName=serde))
    return specs


def _serde(spec: ConsumerSpec) -> SerDe:
    return serde_for(spec.serdeClassName, spec.schemaType)


def _subscribe(client: pulsar.Client, settings: InstanceSettings, topic: str, spec: ConsumerSpec) -> pulsar.Consumer:
    details = settings.details
    options: dict[str, Any] = {}
    if spec.HasField("receiverQueueSize"):
        options["receiver_queue_size"] = max(spec.receiverQueueSize.value, 1)
    if details.source.timeoutMs > 0:
        options["unacked_messages_timeout_ms"] = max(details.source.timeoutMs, 10_000)
    if details.source.negativeAckRedeliveryDelayMs > 0:
        options["negative_ack_redelivery_delay_ms"] = details.source.negativeAckRedeliveryDelayMs
    earliest = details.source.subscriptionPosition == EARLIEST
    return client.subscribe(
        _pattern(topic) if spec.isRegexPattern else topic,
        details.source.subscriptionName or settings.fqfn,
        consumer_type=_consumer_type(settings),
        initial_position=pulsar.InitialPosition.Earliest if earliest else pulsar.InitialPosition.Latest,
        properties={"application": "pulsar-function", "id": settings.fqfn, "instance_id": str(settings.instance_id)},
        **options,
    )


def _consumer_type(settings: InstanceSettings) -> pulsar.ConsumerType:
    details = settings.details
    if details.source.subscriptionType == FAILOVER or details.retainOrdering:
        return pulsar.ConsumerType.Failover
    return pulsar.ConsumerType.KeyShared if details.retainKeyOrdering else pulsar.ConsumerType.Shared


def _pattern(topic: str) -> Any:
    import re  # noqa: PLC0415 - few functions have patterns

    return re.compile(topic)
