"""What the shell completes beyond commands and options: the names of functions."""

import dataclasses

import typer

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.options import DEFAULT_NAMESPACE, DEFAULT_TENANT
from magnetar.errors import RefusedByWorkerError, UnreachableError

_PATIENCE = 1.0


def function_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the functions of the namespace whose names begin so; none when no worker answers within a second."""
    given = _given(context)
    tenant, namespace = given.get("tenant") or DEFAULT_TENANT, given.get("namespace") or DEFAULT_NAMESPACE
    fields = (field.name for field in dataclasses.fields(Connection))
    connection = dataclasses.replace(
        Connection(**{name: given.get(name) for name in fields}),  # type: ignore[arg-type]
        request_timeout=_PATIENCE,
    )
    try:
        names = ask(connection, lambda worker: worker.functions.names(str(tenant), str(namespace)))
    except (UnreachableError, RefusedByWorkerError, UsageError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def _given(context: typer.Context) -> dict[str, object]:
    """Return the options of a command and those before it."""
    before = _given(context.parent) if isinstance(context.parent, typer.Context) else {}
    return before | {name: value for name, value in context.params.items() if value is not None}
