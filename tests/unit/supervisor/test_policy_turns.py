"""When an update waits for other workers, and for how long."""

import pytest
from magnetar.policy.turns import Wait, is_shared


@pytest.mark.parametrize(
    ("owners", "shared"),
    [
        ({}, False),
        ({"a/b/c:0": "me"}, False),
        ({"a/b/c:0": "me", "a/b/c:1": "me"}, False),
        ({"a/b/c:0": "me", "a/b/c:1": "other"}, True),
        ({"a/b/c:0": "other"}, True),
        ({"a/b/c:0": "me", "a/b/cc:0": "other", "a/b/c/d:0": "other"}, False),
    ],
)
def test_a_turn_is_shared_where_others_have_instances(owners: dict[str, str], shared: bool) -> None:
    """A function with all its instances here waits for nobody."""
    assert is_shared("a/b/c", owners, "me") is shared


def test_each_holder_is_waited_for_anew() -> None:
    """A long roll-out is no holder that hangs; one that stays is given up once the patience is over."""
    wait = Wait("", 0)
    for holder, now, over in (("one", 1, False), ("one", 10, False), ("two", 11, False), ("two", 20, False)):
        wait = wait.on(holder, now)
        assert wait.is_over(now, patience=10) is over
    assert wait.on("two", 21).is_over(21, patience=10)
