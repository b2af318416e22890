"""Options that several commands share, each group a dataclass; see `lazy.flat`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from magnetar.cli.errors import UsageError

if TYPE_CHECKING:
    from magnetar.model.names import FunctionName

BOOLEAN = "BOOLEAN"
"""The metavar of options that are true without a value and may have one: `--retain-ordering`, `--auto-ack false`."""

DEFAULT_TENANT, DEFAULT_NAMESPACE = "public", "default"


class Truth(StrEnum):
    """The value of a boolean option."""

    TRUE = "true"
    FALSE = "false"


def truth(value: Truth | None) -> bool | None:
    """Return the value of a boolean option, None when it was not given."""
    return None if value is None else value is Truth.TRUE


def _function_names(context: typer.Context, incomplete: str) -> list[str]:
    from magnetar.cli.completion import function_names  # noqa: PLC0415 - only when the shell asks

    return function_names(context, incomplete)


@dataclass(frozen=True)
class Namespace:
    """Where functions are."""

    tenant: Annotated[str | None, typer.Option("--tenant", help="The tenant [public].")] = None
    namespace: Annotated[str | None, typer.Option("--namespace", help="The namespace [default].")] = None

    def resolve(self) -> tuple[str, str]:
        """Return tenant and namespace."""
        return self.tenant or DEFAULT_TENANT, self.namespace or DEFAULT_NAMESPACE


@dataclass(frozen=True)
class Name:
    """Which function."""

    function: Annotated[
        str | None,
        typer.Argument(
            metavar="FUNCTION",
            help="Its name, or tenant/namespace/name.",
            show_default=False,
            autocompletion=_function_names,
        ),
    ] = None
    tenant: Annotated[str | None, typer.Option("--tenant", help="The function's tenant [public].")] = None
    namespace: Annotated[str | None, typer.Option("--namespace", help="The function's namespace [default].")] = None
    name: Annotated[str | None, typer.Option("--name", help="The function's name.", autocompletion=_function_names)] = (
        None
    )
    fqfn: Annotated[str | None, typer.Option("--fqfn", help="All three as tenant/namespace/name.")] = None

    def resolve(self) -> "FunctionName":
        """Return the function's name. Raises UsageError."""
        from magnetar.model.names import FunctionName  # noqa: PLC0415 - keeps help quick

        full = self.fqfn or (self.function if self.function and "/" in self.function else None)
        if full is not None:
            if self.tenant or self.namespace or self.name or (self.fqfn and self.function):
                raise UsageError(f"{full} names the function whole: leave --tenant, --namespace and --name out")
            return split_fqfn(full)
        if self.function and self.name:
            raise UsageError(f"the function is named twice, {self.function} and {self.name}: keep one")
        name = self.name or self.function
        if not name:
            raise UsageError("no function is named: give --name or --fqfn")
        return FunctionName(self.tenant or DEFAULT_TENANT, self.namespace or DEFAULT_NAMESPACE, name)


def split_fqfn(text: str) -> "FunctionName":
    """Return the parts of `tenant/namespace/name`. Raises UsageError."""
    from magnetar.errors import RefusedError  # noqa: PLC0415 - keeps help quick
    from magnetar.model.names import parse_fqfn  # noqa: PLC0415

    try:
        return parse_fqfn(text)
    except RefusedError as error:
        raise UsageError(str(error)) from None


InstanceOption = Annotated[int | None, typer.Option("--instance-id", min=0, help="One instance; all when not given.")]
