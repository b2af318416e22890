"""From what a function returns to messages that are handed over: plain values, a Message, or a list of Messages."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from magnetar_instance.api import Message
from magnetar_instance.key_values import KeyedBytes, key_properties
from magnetar_instance.messages import INPUT_ID, INPUT_TOPIC, id_text, trace_of
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.retry_letters import letter_options

_OWN = (INPUT_TOPIC, INPUT_ID)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which input an output came from."""

    topic: str
    identity: bytes
    message: Any


class Outputs:
    """Hands over the results of one function."""

    def __init__(
        self, details: FunctionDetails, encode: Callable[[object], bytes | None], publisher: Publisher
    ) -> None:
        self._topic = details.sink.topic
        self._forwards_properties = details.sink.forwardSourceMessageProperty
        self._encode = encode
        self._publisher = publisher

    def send(self, origin: Origin, result: object, apart: Apart) -> None:
        """Hand over a result. Raises what the client and a SerDe raise, and TypeError for a Message that can't be."""
        for message in _messages(result):
            topic = message.topic or self._topic
            data = self._encode(message.value) if topic else None
            if data is None:
                continue
            key = data.key if isinstance(data, KeyedBytes) else ""
            properties = {**self._properties_of(origin), **message.properties, **key_properties(key)}
            options = {
                "partition_key": key or message.key,
                "ordering_key": message.ordering_key,
                "event_timestamp": message.event_time,
            }
            self._publisher.send(topic, data, properties, apart, options=options, is_result=True)

    def forward(self, origin: Origin, topic: str, apart: Apart) -> None:
        """Hand over an input as it is, to a topic. Raises the client's exceptions."""
        message = origin.message
        properties = {**message.properties(), INPUT_TOPIC: origin.topic, INPUT_ID: id_text(origin.identity)}
        self._publisher.send(topic, message.data(), properties, apart, options=letter_options(message))

    def carried(self, properties: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the properties of an input that its output has too."""
        if self._forwards_properties:
            return [pair for pair in properties.items() if pair[0] not in _OWN]
        return list(trace_of(properties).items())

    def _properties_of(self, origin: Origin) -> dict[str, str]:
        return {
            **dict(self.carried(origin.message.properties())),
            INPUT_TOPIC: origin.topic,
            INPUT_ID: id_text(origin.identity),
        }


def is_shaped(result: object) -> bool:
    """Tell whether a result is a Message or a list of them."""
    kind = type(result)
    return kind is Message or (kind is list and bool(result) and type(result[0]) is Message)  # type: ignore[index]


def _messages(result: object) -> Iterator[Message]:
    if not is_shaped(result):
        yield Message(result)
    elif isinstance(result, Message):
        yield result
    else:
        assert isinstance(result, list)
        for each in result:
            if not isinstance(each, Message):
                raise TypeError(
                    f"a list of outputs holds a {type(each).__name__} beside Messages: none or all must be Messages"
                )
            yield each
