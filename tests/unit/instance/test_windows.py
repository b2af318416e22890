"""Which messages windows have, without a clock or a broker."""

import math

import pytest
from magnetar_instance.concurrent.watermark import Watermark
from magnetar_instance.concurrent.window_content import Windows
from magnetar_instance.settings import WindowConfig

Found = list[tuple[list[int], list[int]]]


def windows(config: WindowConfig, times: list[int], now: float = math.inf, *, step: bool = False) -> Found:
    """Feed messages that are their own times; `step` asks after each one, else once at the end."""
    made: Windows[int] = Windows(config)
    found = []
    for at in times:
        made.add(at, at)
        if step:
            found += list(made.until(at))
    if now < math.inf:
        found += list(made.until(now))
    return [(window.content, window.expired) for window in found]


def test_counts_tumble_and_slide() -> None:
    """Each message expires with the last window that has it, or that it is left out of."""
    assert windows(WindowConfig(length_count=2, slide_count=2), [1, 2, 3, 4, 5], step=True) == [
        ([1, 2], [1, 2]),
        ([3, 4], [3, 4]),
    ]
    assert windows(WindowConfig(length_count=3, slide_count=1), [1, 2, 3, 4], step=True) == [
        ([1], []),
        ([1, 2], []),
        ([1, 2, 3], [1]),
        ([2, 3, 4], [2]),
    ]
    assert windows(WindowConfig(length_count=1, slide_count=2), [1, 2, 3, 4], step=True) == [
        ([2], [1, 2]),
        ([4], [3, 4]),
    ]


def test_times_tumble_and_slide() -> None:
    """A window has what came after its beginning until its end, that time included; empty ones are no windows."""
    tumbling = WindowConfig(length_ms=10, slide_ms=10)
    assert windows(tumbling, [1, 10, 11, 95], now=99) == [([1, 10], [1, 10]), ([11], [11])]
    sliding = WindowConfig(length_ms=10, slide_ms=5)
    assert windows(sliding, [3, 7, 12], now=15) == [([3], []), ([3, 7], [3]), ([7, 12], [7])]
    hopping = WindowConfig(length_ms=5, slide_ms=10)
    assert windows(hopping, [3, 7, 12], now=30) == [([7], [3, 7]), ([], [12])]


def test_messages_out_of_order_stand_where_their_times_are() -> None:
    """Those after the time that is asked for are kept."""
    assert windows(WindowConfig(length_ms=10, slide_ms=10), [15, 3, 22, 8, 11], now=20) == [
        ([3, 8], [3, 8]),
        ([11, 15], [11, 15]),
    ]
    assert windows(WindowConfig(length_count=2, slide_count=2), [4, 1, 3, 2, 9], now=4) == [
        ([1, 2], [1, 2]),
        ([3, 4], [3, 4]),
    ]


def test_counts_and_times_mix() -> None:
    """A length of one kind slides by the other."""
    assert windows(WindowConfig(length_ms=10, slide_count=2), [1, 2, 8, 20], step=True) == [
        ([1, 2], []),
        ([20], [1, 2, 8]),
    ]
    assert windows(WindowConfig(length_count=2, slide_ms=10), [1, 2, 3, 14], now=20) == [([2, 3], [1]), ([3, 14], [2])]


@pytest.mark.parametrize(("inputs", "expected"), [(1, 17), (2, 7), (3, -math.inf)])
def test_the_input_that_is_furthest_behind_decides(inputs: int, expected: float) -> None:
    """There is no watermark before each input had a message, and it never goes back."""
    mark = Watermark(inputs, max_lag_ms=3)
    assert mark.takes("a", 20)
    if inputs > 1:
        assert mark.takes("b", 10)
    assert mark.advance() == expected
    assert mark.takes("a", 5) is (expected < 5)
    assert mark.advance() == expected
