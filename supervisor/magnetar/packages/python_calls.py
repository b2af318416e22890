"""Whether a `process` can be called with an input, told by how it is written."""

import ast
from collections.abc import Iterable

from magnetar.errors import RefusedError

_MOST = 2
_WANTED = {False: "process(input) or process(input, context)", True: "process(self, input, context)"}


def check_call(bindings: Iterable[ast.AST], filename: str, *, method: bool) -> None:
    """Judge the one plain `def process` among what binds that name; a decorator, or a second binding, may change anything.

    Raises RefusedError.
    """
    match list(bindings):
        case [ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]) as process]:
            if not _can_be_called(process.args, method=method):
                raise RefusedError(
                    f"{filename}, line {process.lineno}: process({ast.unparse(process.args)}) can't be called with an input "
                    f"and a context: write {_WANTED[method]}"
                )
        case _:
            return


def _can_be_called(arguments: ast.arguments, *, method: bool) -> bool:
    places = len(arguments.posonlyargs) + len(arguments.args) - method
    required = places - len(arguments.defaults)
    named = any(default is None for default in arguments.kw_defaults)
    return required <= _MOST and (places > 0 or arguments.vararg is not None) and not named
