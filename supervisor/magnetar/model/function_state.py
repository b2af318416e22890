"""One key of a function's state, in Pulsar's JSON: `{key, stringValue | byteValue | numberValue, version}`. Pure."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Self

from magnetar.errors import RefusedError

_MOST = 1 << 63


@dataclass(frozen=True)
class FunctionState:
    """What is kept under a key: bytes or a number; the version of one that is to be written means nothing."""

    key: str
    value: bytes | None = None
    number: int | None = None
    version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; bytes that are UTF-8 are shown as text."""
        shown: dict[str, Any] = {"key": self.key}
        if self.number is not None:
            shown["numberValue"] = self.number
        elif self.value is not None:
            try:
                shown["stringValue"] = self.value.decode()
            except UnicodeDecodeError:
                shown["byteValue"] = base64.b64encode(self.value).decode()
        return shown if self.version is None else {**shown, "version": self.version}

    @classmethod
    def from_json(cls, given: object) -> Self:
        """Read the JSON object of a client; bytes win over text, and text over a number. Raises RefusedError."""
        if not isinstance(given, dict) or not isinstance(given.get("key"), str):
            raise RefusedError('state is no JSON object with a key, such as {"key": "k", "stringValue": "v"}')
        key, text, number = given["key"], given.get("stringValue"), given.get("numberValue")
        if given.get("byteValue"):
            return cls(key, _bytes(given["byteValue"]))
        if text is not None:
            if not isinstance(text, str):
                raise RefusedError(f"stringValue {text!r} is no text")
            return cls(key, text.encode())
        if number is None:
            raise RefusedError("state has no value: give stringValue, byteValue (Base64) or numberValue")
        if not isinstance(number, int) or isinstance(number, bool) or not -_MOST <= number < _MOST:
            raise RefusedError(f"numberValue {number!r} is no whole number of 64 bits")
        return cls(key, number=number)


def _bytes(given: object) -> bytes:
    try:
        return base64.b64decode(str(given), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(f"byteValue {given!r} is no Base64") from None
