"""`functions plan`."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from magnetar.cli.connection import Connection, ask
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.output import Output, warn
from magnetar.model.changes import Change, Effect, changes, effect

if TYPE_CHECKING:
    from magnetar.cli.functions.config import Given
    from magnetar.client import WorkerClient
    from magnetar.model.function import FunctionConfig

_MISSING = 404


def plan(function: FunctionOptions, connection: Connection, output: Output) -> None:
    """Show what an update would change, field by field, and which instances it would restart; nothing is changed.

    A package is never compared: giving one replaces it. A function that is not there yet would be created.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick

    given = read_given(function)
    for sentence in given.warnings:
        warn(sentence)
    old = ask(connection, lambda worker: _deployed(worker, given))
    found, consequences = _judge(old, given)
    if output.as_json:
        output.json(
            {
                "function": given.name.fqfn,
                "exists": old is not None,
                "changes": [dataclasses.asdict(change) for change in found],
                "package": _package(given),
                **dataclasses.asdict(consequences),
            }
        )
        return
    if old is None:
        sys.stdout.write(f"{given.name.fqfn} is not there: it would be created.\n")
        return
    rows = [(change.field, _shown(change.before), _shown(change.after)) for change in found]
    output.table(("field", "is", "would be"), rows, "No field would change.")
    sys.stdout.writelines(line + "\n" for line in _sentences(given, consequences))


async def _deployed(worker: "WorkerClient", given: "Given") -> "FunctionConfig | None":
    from magnetar.errors import RefusedByWorkerError  # noqa: PLC0415 - keeps help quick

    try:
        return await worker.functions.get(given.name)
    except RefusedByWorkerError as error:
        if error.status != _MISSING:
            raise
        return None


def _judge(old: "FunctionConfig | None", given: "Given") -> tuple[list[Change], Effect]:
    from magnetar.model import infer, merge, validate  # noqa: PLC0415 - keeps help quick

    if old is None:
        new = infer(given.config.with_changes(**given.name._asdict()))
        validate(new)
        return list(changes({}, new.to_json())), effect(0, new.parallelism or 1, changed=False)
    new = merge(old, given.config)
    validate(infer(new))
    found = list(changes(old.to_json(), new.to_json()))
    restarts = bool(found) or _package(given) is not None
    return found, effect(old.parallelism or 1, new.parallelism or 1, changed=restarts)


def _package(given: "Given") -> str | None:
    return str(given.file) if given.file else given.url


def _sentences(given: "Given", consequences: Effect) -> list[str]:
    package = _package(given)
    found = [f"The package would be replaced by {package}."] if package else []
    for what, numbers in dataclasses.asdict(consequences).items():
        if numbers:
            found.append(f"Instances that would be {what}: {', '.join(map(str, numbers))}.")
    return found if consequences != Effect() else [*found, "No instance would be restarted."]


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
