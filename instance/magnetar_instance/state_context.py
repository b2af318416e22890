"""The part of a function's context that keeps state, in Pulsar's names; each also in a form to be awaited."""

import asyncio

from magnetar_instance.errors import StateError, StateUnavailableError
from magnetar_instance.state import StateStore


class StateMethods:
    """State by key. Every method raises StateError when the store can't be had, StateUnavailableError without one."""

    _state: StateStore | None = None

    def put_state(self, key: str, value: str | bytes) -> None:
        """Keep a value under a key; text is kept as UTF-8."""
        self._store().put(key, value.encode() if isinstance(value, str) else _bytes(key, value))

    def get_state(self, key: str) -> bytes | None:
        """Return the bytes that are kept under a key, None for nothing; those of a counter are its number as 8 bytes."""
        found = self._store().get(key)
        return None if found is None else found.data

    def delete_state(self, key: str) -> None:
        """Keep nothing under a key."""
        self._store().delete(key)

    def incr_counter(self, key: str, amount: int) -> None:
        """Add to a counter, which begins at 0; nothing that other instances add at the same time is lost."""
        if not isinstance(amount, int):
            raise TypeError(f"incr_counter({key!r}, {amount!r}): the amount is no int")
        self._store().add(key, amount)

    def get_counter(self, key: str) -> int | None:
        """Return a counter, None for nothing."""
        found = self._store().get(key)
        if found is not None and found.number is None:
            raise StateError(f"the key {key!r} holds bytes and no counter: get_state reads it")
        return None if found is None else found.number

    def del_counter(self, key: str) -> None:
        """Keep nothing under a key."""
        self._store().delete(key)

    async def put_state_async(self, key: str, value: str | bytes) -> None:
        """Keep a value under a key; text is kept as UTF-8."""
        await asyncio.to_thread(self.put_state, key, value)

    async def get_state_async(self, key: str) -> bytes | None:
        """Return the bytes that are kept under a key, None for nothing."""
        return await asyncio.to_thread(self.get_state, key)

    async def delete_state_async(self, key: str) -> None:
        """Keep nothing under a key."""
        await asyncio.to_thread(self.delete_state, key)

    async def incr_counter_async(self, key: str, amount: int) -> None:
        """Add to a counter, which begins at 0."""
        await asyncio.to_thread(self.incr_counter, key, amount)

    async def get_counter_async(self, key: str) -> int | None:
        """Return a counter, None for nothing."""
        return await asyncio.to_thread(self.get_counter, key)

    async def del_counter_async(self, key: str) -> None:
        """Keep nothing under a key."""
        await asyncio.to_thread(self.del_counter, key)

    def sync_state(self) -> None:
        """Have what was kept survive a power failure too."""
        if self._state is not None:
            self._state.sync()

    def close_state(self) -> None:
        """Close the store."""
        if self._state is not None:
            self._state.close()

    def _store(self) -> StateStore:
        if self._state is None:
            raise StateUnavailableError(
                "this instance has no state store: whoever started it named none that it can open"
            )
        return self._state


def _bytes(key: str, value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"put_state({key!r}): the value is a {type(value).__name__}; give bytes or text")
    return bytes(value)
