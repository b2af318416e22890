"""`functions plan`."""

import json
import sys
from typing import TYPE_CHECKING

from magnetar.cli.connection import Connection, ask
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.output import Output, warn

if TYPE_CHECKING:
    from magnetar.cli.functions.config import Given
    from magnetar.client import Plan, WorkerClient
    from magnetar.model.function import FunctionConfig

_MISSING = 404


def plan(function: FunctionOptions, connection: Connection, output: Output) -> None:
    """Show what create or update would change, field by field, and what becomes of the instances; nothing is changed.

    A package is never compared: giving one replaces it. When Pulsar's own worker is asked, the update is judged here.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick

    given = read_given(function)
    found = ask(connection, lambda worker: _plan(worker, given))
    for sentence in (*given.warnings, *found.warnings):
        warn(sentence)
    if output.as_json:
        output.json({"function": given.name.fqfn, **found.model_dump(mode="json", by_alias=True)})
        return
    rows = [(change.field, _shown(change.before), _shown(change.after)) for change in found.changes]
    output.table(("field", "is", "would be"), rows, "No field would change.")
    sys.stdout.writelines(line + "\n" for line in _sentences(given, found))


async def _plan(worker: "WorkerClient", given: "Given") -> "Plan":
    from magnetar.client import Deployment  # noqa: PLC0415 - keeps help quick
    from magnetar.errors import RefusedByWorkerError  # noqa: PLC0415

    try:
        return await worker.magnetar.plan(Deployment(given.values, given.file, given.url))
    except RefusedByWorkerError as error:
        if error.status != _MISSING:
            raise
    try:
        return _judge(await worker.functions.get(given.name), given)
    except RefusedByWorkerError as error:
        if error.status != _MISSING:
            raise
        return _judge(None, given)


def _judge(old: "FunctionConfig | None", given: "Given") -> "Plan":
    """Judge an update here, for a worker that can't."""
    from magnetar.client import Change, Plan  # noqa: PLC0415 - keeps help quick
    from magnetar.model import infer, merge, validate  # noqa: PLC0415
    from magnetar.model.changes import changes, effect  # noqa: PLC0415

    asked = given.config.with_changes(**given.name._asdict())
    new = merge(old, asked) if old else infer(asked)
    validate(infer(new))
    found = [*changes(old.to_json() if old else {}, new.to_json())]
    package = given.file is not None or given.url is not None
    counts = (old.parallelism or 1) if old else 0, new.parallelism or 1
    consequences = effect(*counts, changed=bool(found) or package)
    return Plan(
        action=("update" if found or package else "none") if old else "create",
        changes=tuple(Change(field=each.field, before=each.before, after=each.after) for each in found),
        replaces_package=package,
        restarted=consequences.restarted,
        started=consequences.started,
        stopped=consequences.stopped,
    )


def _sentences(given: "Given", found: "Plan") -> list[str]:
    told = {"create": f"{given.name.fqfn} would be created.", "update": f"{given.name.fqfn} would be updated."}
    lines = [told.get(found.action, f"{given.name.fqfn} would stay as it is.")]
    if found.replaces_package and found.action == "update":
        lines.append(f"The package would be replaced by {given.file or given.url}.")
    for what, numbers in (("restarted", found.restarted), ("started", found.started), ("stopped", found.stopped)):
        if numbers:
            lines.append(f"Instances that would be {what}: {', '.join(map(str, numbers))}.")
    return lines


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
