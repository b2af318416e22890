from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.topics.cursor import Cursor

ENTRIES = st.integers(0, 40)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("one"), ENTRIES),
        st.tuples(st.just("through"), ENTRIES),
        st.tuples(st.just("seek"), ENTRIES),
        st.tuples(st.just("write"), st.just(0)),
    )
)


@given(OPERATIONS)
def test_a_cursor_written_in_pieces_is_the_same_cursor(operations: list[tuple[str, int]]) -> None:
    """What was written after each step, applied in order to what was there first, gives the same acknowledgements."""
    cursor, done = Cursor(), set[int]()
    copy = Cursor.from_json(cursor.to_json())
    for operation, entry in operations:
        if operation == "one":
            cursor.acknowledge(entry)
            done.add(entry)
        elif operation == "through":
            cursor.advance(entry)
            done |= set(range(entry))
        elif operation == "seek":
            cursor.reset(entry)
            done = set(range(entry))
        else:
            copy.apply(cursor.changes())
    copy.apply(cursor.changes())
    assert {entry for entry in range(45) if cursor.done(entry)} == done
    assert copy.to_json() == cursor.to_json()
    assert Cursor.from_json(cursor.to_json()).to_json() == cursor.to_json()


def test_a_batch_is_done_when_the_last_of_its_messages_is() -> None:
    """Each acknowledgement clears bits; the entry counts when none is left."""
    cursor = Cursor()
    assert not cursor.acknowledge(0, [0b110])
    assert not cursor.acknowledge(0, [0b011])
    assert cursor.partial == {0: [0b010]}
    assert cursor.acknowledge(0, [0b101])
    assert cursor.mark == 1
    assert cursor.partial == {}


def test_a_hole_costs_one_range_however_much_is_acknowledged_beyond_it() -> None:
    """A hundred thousand acknowledgements behind one that is missing are one range."""
    cursor = Cursor()
    for entry in range(1, 100_000):
        cursor.acknowledge(entry)
    assert len(cursor.beyond) == 1
    cursor.changes()
    cursor.acknowledge(100_000)
    assert cursor.changes() == {"mark": 0, "beyond": [[100_000, 100_001]], "partial": {}}
