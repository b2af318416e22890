"""The user's function, however its code was loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

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
