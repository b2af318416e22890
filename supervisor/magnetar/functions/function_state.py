"""What functions keep between messages, read and written from outside: the store that instances on this worker use."""

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import anyio
import anyio.to_thread
from magnetar_instance.errors import StateError
from magnetar_instance.sqlite_state import SqliteState

from magnetar.errors import KeyMissingError, NotReadyError, RefusedError, RequestError
from magnetar.functions.context import FunctionsContext
from magnetar.functions.owners import ensure_mine
from magnetar.host_users import as_owner_of
from magnetar.model.function_state import FunctionState
from magnetar.model.names import FunctionName
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.state_place import remove_own_state, state_directory

T = TypeVar("T")

_NO_STORE = "State storage client is not done initializing"


async def read(context: FunctionsContext, name: FunctionName, key: str) -> FunctionState:
    """Return what a function keeps under a key. Raises KeyMissingError, and OwnedElsewhere."""
    await _demand_store(context, name)
    found = await _use(context, name, lambda store: store.get(key))
    if found is None:
        raise KeyMissingError(f"key '{key}' doesn't exist.")
    return FunctionState(key, found.value, found.number, found.version)


async def write(context: FunctionsContext, name: FunctionName, key: str, state: FunctionState) -> None:
    """Let a function keep a value under a key. Raises RefusedError where it names another one, and OwnedElsewhere."""
    await _demand_store(context, name)
    if state.key != key:
        raise RefusedError(f"Path key doesn't match key in json: {key!r} and {state.key!r}")
    await _use(context, name, lambda store: _put(store, state))


def _put(store: SqliteState, state: FunctionState) -> None:
    if state.number is None:
        store.put(state.key, state.value or b"")
    else:
        store.set_number(state.key, state.number)
    store.sync()


async def forget(context: FunctionsContext, name: FunctionName) -> None:
    """Drop all that a deleted function kept on this host; what can't be dropped is logged."""
    with anyio.CancelScope(shield=True):
        try:
            await _use(context, name, lambda store: store.clear())
            await anyio.to_thread.run_sync(remove_own_state, context.settings.data_directory, name)
        except RequestError as error:
            context.logger.warning("A deleted function's state stays.", function=name.fqfn, reason=str(error))


async def _demand_store(context: FunctionsContext, name: FunctionName) -> None:
    """Raise unless the function keeps its state on this host: that of a fleet's function is where its instances are."""
    details = context.metadata(name).functionDetails
    if language_of(details) != "PYTHON":
        raise NotReadyError(f"{_NO_STORE}: only functions in Python keep state on this worker")
    if context.external is not None and context.settings.runtime_of(details) == context.external.name:
        raise NotReadyError(f"{_NO_STORE}: functions in {context.external.name} keep no state")
    await ensure_mine(context, name, 0)


async def _use(context: FunctionsContext, name: FunctionName, work: Callable[[SqliteState], T]) -> T:
    def in_thread() -> T:
        directory = state_directory(context.settings.data_directory, name)
        with as_owner_of(directory), closing(SqliteState(directory, *name)) as store:
            return work(store)

    try:
        return await anyio.to_thread.run_sync(in_thread)
    except (StateError, OSError) as error:
        raise RequestError(str(error)) from None
