from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.topics.ranges import Ranges

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for start, end in spans for number in range(start, end)}


@given(SPANS)
def test_ranges_hold_what_a_set_would(spans: list[tuple[int, int]]) -> None:
    """Whatever the order of additions, the ranges are those of the set, apart from each other and in order."""
    ranges = Ranges(spans)
    assert numbers(list(ranges)) == numbers(spans)
    flat = [edge for span in ranges for edge in span]
    assert flat == sorted(set(flat))
    assert all((number in ranges) == (number in numbers(spans)) for number in range(70))


@given(SPANS, st.integers(0, 70))
def test_dropping_takes_out_what_is_below(spans: list[tuple[int, int]], below: int) -> None:
    """Only what is below the number goes, even from within a range."""
    ranges = Ranges(spans)
    ranges.drop_before(below)
    assert numbers(list(ranges)) == {number for number in numbers(spans) if number >= below}


@given(SPANS, SPANS)
def test_what_is_common_is_in_both(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    """The intersection is that of the sets."""
    assert numbers(list(Ranges(one).common(Ranges(two)))) == numbers(one) & numbers(two)


@given(SPANS, st.integers(0, 70))
def test_the_end_of_a_range_is_the_next_number_outside(spans: list[tuple[int, int]], number: int) -> None:
    """From a number in the set it is the first one that is not; from another it is itself."""
    expected = number
    while expected in numbers(spans):
        expected += 1
    assert Ranges(spans).end_of(number) == expected
