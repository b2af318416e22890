"""What functions keep between messages: values and counters by key, each with a version that rises with every change.

`StateStore` is what a context asks for; `open_state` chooses the store by its address. The worker reads the same stores.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from magnetar_instance.errors import StateUnavailableError

_NUMBER_BYTES = 8
_SCHEME = "sqlite"


@dataclass(frozen=True)
class StateEntry:
    """What is kept under a key: bytes, or the number of a counter; the first version is 0."""

    version: int
    value: bytes | None = None
    number: int | None = None

    @property
    def data(self) -> bytes:
        """The bytes; those of a counter are its number, as eight bytes from the highest on, as in Pulsar."""
        if self.number is not None:
            return self.number.to_bytes(_NUMBER_BYTES, "big", signed=True)
        return self.value or b""


class StateStore(Protocol):
    """The state of one function; may be used from any thread. Every method raises StateError."""

    def get(self, key: str) -> StateEntry | None:
        """Return what is kept under a key, None for nothing."""

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key."""

    def set_number(self, key: str, number: int) -> None:
        """Keep a counter under a key."""

    def add(self, key: str, amount: int) -> None:
        """Add to a counter, which begins at 0; nothing that others add at the same time is lost."""

    def delete(self, key: str) -> None:
        """Keep nothing under a key."""

    def sync(self) -> None:
        """Have what was written survive a power failure too; it survives the process as it is."""

    def close(self) -> None:
        """Close the store."""


def state_address(directory: Path) -> str:
    """Return the address of a store in a directory, as it is handed to instances."""
    return f"{_SCHEME}://{quote(str(directory))}"


def open_state(address: str, tenant: str, namespace: str, function: str) -> StateStore:
    """Return the store of a function, which is opened when it is first used.

    Raises StateUnavailableError for an address that nothing here can open.
    """
    parts = urlsplit(address)
    if parts.scheme != _SCHEME or not parts.path:
        raise StateUnavailableError(f"no state can be kept in {address!r}: only sqlite:///directory can be opened here")
    from magnetar_instance.sqlite_state import SqliteState  # noqa: PLC0415 - most functions keep no state

    return SqliteState(Path(unquote(parts.path)), tenant, namespace, function)
