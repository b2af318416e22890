"""Pairs of a key and a value, as Pulsar's clients for Java write them: together in the payload, or the key apart.

Apart (SEPARATED), the payload is the value and the key is the message's. Clients for Java write that key in Base64 and mark
it; the client for Python can neither see nor set the mark. So a key that reads as Base64 is taken for it, and a key of ours,
which is plain text, says so in a property where it could be mistaken.
"""

import base64
import binascii
import struct
from typing import Any

import _pulsar
from pulsar.schema import Schema

PLAIN_KEY = "MAGNETAR_PLAIN_KEY"
"""The property of a message whose key is text although it reads as Base64."""


class KeyedBytes(bytes):
    """A value's bytes, whose message has this key."""

    key: str


class InlinePairs(Schema):  # type: ignore[misc] # Pulsar's client has no types
    """Pairs whose parts are both in the payload (Pulsar's encoding INLINE).

    The broker is told of bytes: the client for Python can't declare the schemas of the parts, and a declaration without
    them would shut out the clients that can.
    """

    def __init__(self, key: Schema, value: Schema) -> None:
        self._parts = (key, value)
        super().__init__(tuple, _pulsar.SchemaType.BYTES, None, "BYTES")

    def encode(self, pair: tuple[object, object]) -> bytes:
        """Return a pair's bytes."""
        texts = (part.encode(each) for part, each in zip(self._parts, pair, strict=True))
        return b"".join(struct.pack(">i", len(text)) + text for text in texts)

    def decode(self, data: bytes) -> Any:
        """Return the pair of some bytes; None for a part that is absent."""
        key, rest = _sized(data)
        value, _ = _sized(rest)
        return tuple(
            None if text is None else part.decode(text) for part, text in zip(self._parts, (key, value), strict=True)
        )


class SeparatedPairs(Schema):  # type: ignore[misc]
    """Pairs whose key is the message's (Pulsar's encoding SEPARATED); the broker is told of bytes, as for `InlinePairs`."""

    def __init__(self, key: Schema, value: Schema) -> None:
        self._key, self._value = key, value
        super().__init__(tuple, _pulsar.SchemaType.BYTES, None, "BYTES")

    def encode(self, pair: tuple[object, object]) -> bytes:
        """Return the value's bytes, with the key. Raises ValueError for a key that is no text."""
        key, value = pair
        data = KeyedBytes(b"" if value is None else self._value.encode(value))
        try:
            data.key = "" if key is None else self._key.encode(key).decode()
        except UnicodeDecodeError:
            raise ValueError(f"the key {key!r} is no UTF-8: the client for Python writes keys apart as text") from None
        return data

    def decode_message(self, message: Any) -> Any:
        """Return the pair of a message; None for a part that is absent."""
        text = message.partition_key()
        key = self._key.decode(_key_bytes(text, message.properties())) if text else None
        return key, None if message.has_null_value() else self._value.decode(message.data())


def key_properties(key: str) -> dict[str, str]:
    """Return the properties of a message with a plain key: none, or that it is no Base64 though it reads as such."""
    return {PLAIN_KEY: "true"} if key and _from_base64(key) is not None else {}


def _key_bytes(text: str, properties: dict[str, str]) -> bytes:
    decoded = None if PLAIN_KEY in properties else _from_base64(text)
    return text.encode() if decoded is None else decoded


def _from_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _sized(data: bytes) -> tuple[bytes | None, bytes]:
    """Return the part at the beginning, which its length stands before, and what comes after it."""
    size = struct.unpack_from(">i", data)[0]
    if size < 0:
        return None, data[4:]
    if len(data) < 4 + size:
        raise ValueError(f"a pair of key and value is cut short: {size} bytes are announced, {len(data) - 4} are there")
    return data[4 : 4 + size], data[4 + size :]
