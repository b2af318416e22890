from collections.abc import Callable
from functools import wraps

import pytest
from magnetar_instance.errors import BootError
from magnetar_instance.loading import last_lines
from magnetar_instance.signatures import takes_context


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)
    def anything(*given: object) -> object:
        return function(*given)

    return anything


def injecting(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)
    def one(value: object) -> object:
        return function(value, None)

    return one


@pytest.mark.parametrize(
    ("process", "of_class", "expected"),
    [
        (lambda value: value, False, False),
        (lambda value, context: (value, context), False, True),
        (lambda value, context=None: (value, context), False, True),
        (lambda value, separator=",": (value, separator), False, False),
        (lambda *given: given, False, False),
        (wrapped(lambda value, context: (value, context)), False, True),
        (injecting(lambda value, context: (value, context)), False, False),
        (str, False, False),
        (lambda value, context: (value, context), True, True),
        (lambda value, separator=",": (value, separator), True, True),
        (lambda *given: given, True, True),
        (lambda value: value, True, False),
    ],
)
def test_a_process_is_called_as_it_can_be(process: Callable[..., object], of_class: bool, expected: bool) -> None:
    """A method is given the context, a module's function where it asks for it, and neither is given what it can't take."""
    assert takes_context(process, of_class=of_class) is expected


@pytest.mark.parametrize("process", [lambda: None, lambda a, b, c: (a, b, c), lambda a, *, key: (a, key)])
@pytest.mark.parametrize("of_class", [False, True])
def test_what_can_be_called_neither_way_is_refused(process: Callable[..., object], of_class: bool) -> None:
    """The refusal shows the signature and what to write."""
    with pytest.raises(BootError, match="can't be called with an input and a context: write process"):
        takes_context(process, of_class=of_class)


def test_a_traceback_begins_in_the_users_code() -> None:
    """The steps of the import system and of the instance are left out; a cause loses them as well."""

    def user_code() -> None:
        try:
            compile("", "", "no such mode")
        except ValueError as error:
            raise RuntimeError("no database") from error

    with pytest.raises(RuntimeError) as raised:
        user_code()
    assert "user_code" in "".join(last_lines(raised.value))
    try:
        __import__("importlib").import_module("nothing_of_this_name")
    except ModuleNotFoundError as error:
        lines = last_lines(error)
    assert not any("importlib/__init__" in each or "frozen" in each for each in lines)
    assert lines[-1] == "ModuleNotFoundError: No module named 'nothing_of_this_name'"
