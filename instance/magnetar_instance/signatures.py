"""How a user's `process` may be called, read off its signature before the first message."""

import inspect
from collections.abc import Callable

from magnetar_instance.errors import BootError

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_CONTEXT = "context"


def takes_context(process: Callable[..., object], *, of_class: bool) -> bool:
    """Tell whether `process` is called with a context beside the input. Raises BootError where it can be called neither way.

    As in Pulsar a class's method is given one and a module's function is not; but a method that takes the input alone, and a
    function that asks for a second argument, are called as they can be.
    """
    try:
        signature = _signature(process)
    except (TypeError, ValueError):
        return of_class
    if _takes(signature, 2) and (of_class or not _takes(signature, 1) or _names_context(signature)):
        return True
    if _takes(signature, 1):
        return False
    wanted = "process(self, input, context)" if of_class else "process(input) or process(input, context)"
    raise BootError(f"process{signature} can't be called with an input and a context: write {wanted}")


def _signature(process: Callable[..., object]) -> inspect.Signature:
    """Return what may be passed: of a decorator's wrapper that takes anything, what the function that it wraps takes."""
    signature = inspect.signature(process, follow_wrapped=False)
    takes_all = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in signature.parameters.values())
    return inspect.signature(process) if takes_all else signature


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _names_context(signature: inspect.Signature) -> bool:
    by_place = [each.name for each in signature.parameters.values() if each.kind in _BY_PLACE]
    return by_place[1:2] == [_CONTEXT]
