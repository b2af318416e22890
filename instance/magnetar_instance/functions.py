"""The user's function, however its code was loaded."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from magnetar_instance.api import BatchOptions, InputMessage, Message, batch_options

Process = Callable[..., object]
"""What a function does: (input, context) -> output, or (input) -> output where it is a module's `process`."""


@dataclass(frozen=True)
class UserFunction:
    """What to call for each message, how the function's other classes are imported, and what undoes the loading."""

    process: Process
    takes_context: bool
    import_module: Callable[[str], ModuleType]
    close: Callable[[], None]
    input_type: object = None
    """What the first parameter of `process` is annotated with."""
    output_type: object = None

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self.process)

    @property
    def batch(self) -> BatchOptions | None:
        """How it takes lists of messages; None where it takes one after the other."""
        return batch_options(self.process)


def annotations_of(process: Process) -> tuple[object, object]:
    """Return what an input's value and a result's are annotated with; None for what is not, or can't be resolved."""
    try:
        parameters = list(inspect.signature(process).parameters)
        hints = typing.get_type_hints(process)
    except (TypeError, ValueError, NameError):
        return None, None
    is_batch = batch_options(process) is not None
    given, returned = hints.get(parameters[0]) if parameters else None, hints.get("return")
    return _value_type(given, is_batch=is_batch), _value_type(returned, is_batch=is_batch)


def _value_type(hint: object, *, is_batch: bool) -> object:
    """Return what an annotation says of a value: Messages, and lists of them, say nothing."""
    arguments = typing.get_args(hint)
    if any(each is Message or each is InputMessage for each in (hint, *arguments)):
        return None
    return arguments[0] if is_batch and typing.get_origin(hint) is list else hint
