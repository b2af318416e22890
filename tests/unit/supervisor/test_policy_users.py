"""Which user a function's instances run as."""

import pytest
from magnetar.config import ConfigError, load_config
from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName
from magnetar.policy.users import UserPolicy

MINE = FunctionName("mine", "a", "f")


@pytest.mark.parametrize(
    ("named", "user"),
    [
        ({"*": "all", "mine": "tenant", "mine/a": "namespace", "mine/a/f": "function"}, "function"),
        ({"*": "all", "mine": "tenant", "mine/a": "namespace", "mine/a/g": "function"}, "namespace"),
        ({"*": "all", "mine": "tenant"}, "tenant"),
        ({"*": "all", "yours": "tenant"}, "all"),
        ({"yours": "tenant"}, None),
    ],
)
def test_the_longest_name_counts(named: dict[str, str], user: str | None) -> None:
    """A function's own user comes before its namespace's, its tenant's and everyone's."""
    policy = UserPolicy(named)
    assert policy.named_for(MINE) == user
    assert policy.covers(MINE) == (user is not None)


def test_a_thread_is_refused_where_it_would_need_another_user() -> None:
    """A thread has its worker's user; where the function is to have no other it may be one."""
    UserPolicy({"yours": "x"}).admit(MINE, "thread")
    UserPolicy({"mine": "x"}).admit(MINE, "process")
    for policy in (UserPolicy({"mine": "x"}), UserPolicy(numbers=range(1, 2))):
        with pytest.raises(RefusedError, match=r"magnetar\.users"):
            policy.admit(MINE, "thread")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"users": {"numbers": "5"}}, "200000-265535"),
        ({"users": {"numbers": "0-5"}}, "200000-265535"),
        ({"users": {"numbers": "7-5"}}, "200000-265535"),
        ({"users": {"named": {"a/b/c/d": "x"}}}, "a/b/c/d"),
        ({"users": {"numbers": "5-7"}, "buildFromSource": True}, "buildFromSource"),
        ({"users": {"pre": "tenant"}}, "'pre'"),
        ({"limits": {"enforc": True}}, "enforce"),
        ({"logs": {"file": 1}}, "files"),
    ],
)
def test_settings_that_are_wrong_are_told(own: dict[str, object], said: str) -> None:
    """The message names what would be right, of unknown keys in every block as well."""
    with pytest.raises(ConfigError) as raised:
        load_config(None, {"magnetar": own}, environ={})
    assert said in str(raised.value)
