"""State in SQLite: values, counters and versions; shared by threads and processes, and never half written."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from magnetar_instance.errors import StateError, StateUnavailableError
from magnetar_instance.sqlite_state import SqliteState
from magnetar_instance.state import StateEntry, open_state, state_address
from magnetar_instance.state_context import StateMethods

_MANY = 500


def store_of(directory: Path, function: str = "f", namespace: str = "default") -> SqliteState:
    return SqliteState(directory, "public", namespace, function)


class Kept(StateMethods):
    def __init__(self, directory: Path) -> None:
        self._state = open_state(state_address(directory), "public", "default", "f")


def test_each_change_raises_the_version_of_its_key(tmp_path: Path) -> None:
    """The first version is 0; what was deleted begins anew."""
    store = store_of(tmp_path)
    assert store.get("k") is None
    store.put("k", b"a")
    store.put("k", b"b")
    store.add("n", 5)
    store.add("n", -7)
    assert (store.get("k"), store.get("n")) == (StateEntry(1, b"b"), StateEntry(1, None, -2))
    store.delete("k")
    store.put("k", b"c")
    assert store.get("k") == StateEntry(0, b"c")
    store.close()


def test_functions_and_namespaces_keep_their_own(tmp_path: Path) -> None:
    """The same key means another thing to each function; dropping one's state leaves the others'."""
    stores = [store_of(tmp_path), store_of(tmp_path, "g"), store_of(tmp_path, namespace="..")]
    for number, store in enumerate(stores):
        store.put("k", b"%d" % number)
    stores[0].clear()
    assert [store.get("k") for store in stores] == [None, StateEntry(0, b"1"), StateEntry(0, b"2")]
    for store in stores:
        store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public@...sqlite", "public@default.sqlite"]


def test_looking_makes_no_file(tmp_path: Path) -> None:
    """Whoever asks for state that nobody kept leaves nothing behind."""
    store = store_of(tmp_path / "none")
    assert store.get("k") is None
    store.clear()
    assert not (tmp_path / "none").exists()


def test_pulsars_names_return_what_pulsars_do(tmp_path: Path) -> None:
    """Bytes come back as bytes, text as its UTF-8, counters as numbers, nothing as None."""
    context = Kept(tmp_path)
    assert (context.get_state("k"), context.get_counter("n")) == (None, None)
    context.put_state("k", "é")
    context.incr_counter("n", 3)
    assert (context.get_state("k"), context.get_counter("n")) == ("é".encode(), 3)
    assert context.get_state("n") == b"\0\0\0\0\0\0\0\3"
    context.del_counter("n")
    context.delete_state("k")
    assert (context.get_state("k"), context.get_counter("n")) == (None, None)
    context.close_state()


async def test_each_method_can_be_awaited(tmp_path: Path) -> None:
    """The forms for async functions do the same."""
    context = Kept(tmp_path)
    await context.put_state_async("k", b"v")
    await context.incr_counter_async("n", 2)
    assert (await context.get_state_async("k"), await context.get_counter_async("n")) == (b"v", 2)
    await context.delete_state_async("k")
    await context.del_counter_async("n")
    assert (await context.get_state_async("k"), await context.get_counter_async("n")) == (None, None)
    context.close_state()


def test_what_can_not_be_is_refused_by_name(tmp_path: Path) -> None:
    """Counting up bytes, beyond 64 bits, or with no number; keeping what is no bytes; a store of another kind."""
    context = Kept(tmp_path)
    context.put_state("k", b"v")
    context.incr_counter("n", 2**63 - 1)
    with pytest.raises(StateError, match="'k' holds bytes"):
        context.incr_counter("k", 1)
    with pytest.raises(StateError, match="holds bytes and no counter"):
        context.get_counter("k")
    for amount in (1, 2**70):
        with pytest.raises(StateError, match="64 bits"):
            context.incr_counter("n", amount)
    with pytest.raises(TypeError, match="a dict"):
        context.put_state("k", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no int"):
        context.incr_counter("n", "1")  # type: ignore[arg-type]
    assert context.get_counter("n") == 2**63 - 1
    context.close_state()
    with pytest.raises(StateUnavailableError, match="bk://"):
        open_state("bk://localhost:4181", "public", "default", "f")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """State that can't be had is an error that says where it is, not nothing."""
    store = store_of(tmp_path)
    store.path.write_bytes(b"no database, but long enough to be taken for the header of one" * 10)
    with pytest.raises(StateError, match=r"public@default\.sqlite"):
        store.get("k")


_COUNTER = """
import sys
from pathlib import Path
from magnetar_instance.sqlite_state import SqliteState
store = SqliteState(Path(sys.argv[1]), "public", "default", "f")
while True:
    store.add("n", 1)
    store.put("k", b"v" * 1000)
    print(flush=True)
"""


def test_processes_that_are_killed_lose_no_count(tmp_path: Path) -> None:
    """Several count at once in a file that is new to all of them, and are killed amid it: all that was counted is there."""
    command = [sys.executable, "-c", _COUNTER, str(tmp_path)]
    counted = 0
    with ExitStack() as stack:
        counters = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(3)]
        for each in counters:
            stack.callback(each.kill)
        for each in counters:
            assert each.stdout is not None
            for _ in range(_MANY):
                assert each.stdout.readline()
            each.kill()
            counted += _MANY + len(each.stdout.read().splitlines())
    store = store_of(tmp_path)
    found = store.get("n")
    assert found is not None
    assert found.number is not None
    # What was counted last may not have been said any more.
    assert counted <= found.number <= counted + len(counters)
    assert found.version == found.number - 1
    store.put("k", b"after")
    store.sync()
    store.close()
