"""From bytes to what a function gets, and from what it returns to bytes."""

from collections.abc import Callable
from types import ModuleType
from typing import Protocol

from pulsar.functions.serde import PickleSerDe

from magnetar_instance.errors import BootError

_IDENTITY = {"", "serde.IdentitySerDe", "pulsar.functions.serde.IdentitySerDe", "IdentitySerDe"}
_PICKLE = {"serde.PickleSerDe", "pulsar.functions.serde.PickleSerDe", "PickleSerDe"}
_BEGINS_A_NUMBER = "iInNjJ"
"""Letters that inf, nan and the imaginary unit begin with."""


class SerDe(Protocol):
    """Turns bytes into objects and back; Pulsar's interface for Python functions."""

    def serialize(self, value: object, /) -> bytes | None:
        """Return a value's bytes; None drops it."""

    def deserialize(self, data: bytes, /) -> object:
        """Return the value of some bytes."""


class IdentitySerDe:
    """Pulsar's default: text that reads as a number (int, float, complex) becomes one, other text a str, the rest bytes."""

    def serialize(self, value: object) -> bytes:
        """Return bytes as they are, numbers and text as text. Raises TypeError for anything else, as Pulsar does."""
        if type(value) is bytes:
            return value
        if type(value) in {str, int, float, complex}:
            return str(value).encode()
        raise TypeError(
            f"IdentitySerDe can't serialize {type(value).__name__}; return bytes, str or a number, or name an output SerDe"
        )

    def deserialize(self, data: bytes) -> object:
        """Guess the type of some bytes."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        first = text[:1]
        if first.isalpha() and first not in _BEGINS_A_NUMBER:
            return text  # three exceptions cheaper than to try
        for guess in (int, float, complex):
            try:
                return guess(text)
            except ValueError:
                continue
        return text


class BytesSerDe:
    """Bytes in and out, for functions that ask for the schema `bytes` by name."""

    def serialize(self, value: object) -> bytes:
        """Return bytes as they are, text encoded."""
        return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]

    def deserialize(self, data: bytes) -> object:
        """Return the bytes."""
        return data


def serde_for(class_name: str, schema_type: str, import_module: Callable[[str], ModuleType]) -> SerDe:
    """Return the SerDe of a class name, or the one for plain bytes. Raises BootError when it can't be had."""
    if class_name in _IDENTITY:
        return BytesSerDe() if schema_type.lower() == "bytes" else IdentitySerDe()
    return _user_serde(class_name, import_module)


def _user_serde(class_name: str, import_module: Callable[[str], ModuleType]) -> SerDe:
    if class_name in _PICKLE:
        pickled: SerDe = PickleSerDe()
        return pickled
    module_name, _, name = class_name.rpartition(".")
    try:
        made: SerDe = getattr(import_module(module_name), name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise BootError(f"the SerDe class {class_name!r} can't be had: {error}") from error
    return made
