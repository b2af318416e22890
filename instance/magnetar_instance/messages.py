"""Messages to be sent, in the client's own form; and what tells which input they came from."""

import binascii
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import _pulsar

from magnetar_instance.key_values import KeyedBytes, key_properties

INPUT_TOPIC = "__pfn_input_topic__"
INPUT_ID = "__pfn_input_msg_id__"
TRACE_NAMES = ("traceparent", "tracestate")
"""The properties that carry W3C's trace context; they go from input to output, whatever else is forwarded."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

_OPTIONS: Mapping[str, Callable[[Any, Any], object]] = {
    "partition_key": lambda builder, value: builder.partition_key(_of(str, value)),
    "ordering_key": lambda builder, value: builder.ordering_key(_of(str, value)),
    "sequence_id": lambda builder, value: builder.sequence_id(_of(int, value)),
    "replication_clusters": lambda builder, value: builder.replication_clusters(_of(list, value)),
    "disable_replication": lambda builder, value: builder.disable_replication(_of(bool, value)),
    "event_timestamp": lambda builder, value: builder.event_timestamp(_of(int, value)),
    "deliver_at": lambda builder, value: builder.deliver_at(_of(int, value)),
    "deliver_after": lambda builder, value: builder.deliver_after(_of(timedelta, value)),
}


def build(data: bytes, properties: Mapping[str, str], options: Mapping[str, Any] | None = None) -> Any:
    """Return a message. Raises TypeError for an option, or a value of one, that there is not."""
    builder = _pulsar.MessageBuilder()
    builder.content(data)
    for name, value in properties.items():
        builder.property(name, value)
    for name, value in (options or {}).items():
        setter = _OPTIONS.get(name)
        if setter is None:
            raise TypeError(f"a message has no option {name!r}; there are properties, {', '.join(_OPTIONS)}")
        if value is not None:
            setter(builder, value)
    return builder.build()


class KeyedBuilder(_pulsar.MessageBuilder):  # type: ignore[misc] # Pulsar's client has no types
    """The client's builder, for values that bring their message's key."""

    def content(self, data: bytes) -> None:
        """Take a value, and its key if it has one."""
        super().content(data)
        if isinstance(data, KeyedBytes) and data.key:
            self.partition_key(data.key)
            for name, value in key_properties(data.key).items():
                self.property(name, value)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def id_text(serialized: bytes) -> str:
    """Return a serialized message id as URL-safe Base64, as Pulsar's Python instance spells it."""
    return binascii.b2a_base64(serialized, newline=False).translate(_URL_SAFE).decode()


def trace_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the properties among these that carry W3C's trace context."""
    return {name: properties[name] for name in TRACE_NAMES if name in properties}


def origin_of(message: Any) -> dict[str, str]:
    """Return the properties that tell which input an output came from, and those that carry W3C's trace context."""
    return {
        **trace_of(message.properties()),
        INPUT_TOPIC: message.topic_name(),
        INPUT_ID: id_text(message.message_id().serialize()),
    }
