"""`functions update`."""

from dataclasses import replace
from typing import Annotated

from typer import Argument, Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.functions.waiting import Waiting
from magnetar.cli.options import BOOLEAN, Truth, truth
from magnetar.cli.output import Output, progress, warn


def update(
    function: FunctionOptions,
    waiting: Waiting,
    connection: Connection,
    output: Output,
    *,
    named: Annotated[
        str | None, Argument(metavar="FUNCTION", help="Its name, or tenant/namespace/name.", show_default=False)
    ] = None,
    update_auth_data: Annotated[
        Truth | None,
        Option(
            "--update-auth-data", metavar=BOOLEAN, case_sensitive=False, help="Store the caller's credentials anew."
        ),
    ] = None,
) -> None:
    """Change a deployed function; what is not named stays as it is.

    With --py, --jar or --go the package is replaced. `functions plan` shows beforehand what would change.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick

    given = read_given(_named(function, named))
    for sentence in given.warnings:
        warn(sentence)
    with progress(f"Sending {given.file.name if given.file else given.name.fqfn}") as told:
        ask(
            connection,
            lambda worker: worker.functions.update(
                given.values,
                file=given.file,
                url=given.url,
                update_auth_data=bool(truth(update_auth_data)),
                progress=told,
            ),
        )
    waiting.until_running(connection, given.name)
    output.done(f"Updated {given.name.fqfn}.", updated=given.name.fqfn)


def _named(function: FunctionOptions, named: str | None) -> FunctionOptions:
    """Return the options with the name that was given as an argument. Raises UsageError for two names."""
    if named is None:
        return function
    if function.name or function.fqfn:
        raise UsageError(f"the function is named twice, {named} and {function.name or function.fqfn}: keep one")
    return replace(function, fqfn=named) if "/" in named else replace(function, name=named)
