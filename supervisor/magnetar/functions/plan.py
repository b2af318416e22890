"""What a create or update would do, told without doing it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from magnetar_instance.proto.function import STOPPED, FunctionMetaData

from magnetar.functions.admission import check_namespace, judge, judge_package
from magnetar.functions.context import FunctionsContext
from magnetar.functions.guarantees import check_guarantee
from magnetar.functions.submission import Submission
from magnetar.functions.update import intend
from magnetar.model import FunctionConfig, to_config, to_details
from magnetar.model.changes import Change, Effect, changes, effect
from magnetar.model.names import FunctionName


@dataclass(frozen=True)
class Plan:
    """What would happen; a package is never compared: sending one replaces it."""

    action: Literal["create", "update", "none"]
    changes: tuple[Change, ...]
    replaces_package: bool
    effect: Effect
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that clients get."""
        return {
            "action": self.action,
            "changes": [asdict(change) for change in self.changes],
            "replacesPackage": self.replaces_package,
            "warnings": list(self.warnings),
            **asdict(self.effect),
        }


async def plan(context: FunctionsContext, name: FunctionName, submission: Submission) -> Plan:
    """Judge a request as create or update would and return what it would do. Raises what they would raise."""
    if name.fqfn in context.coordination.functions:
        return await _update(context, name, submission)
    return await _create(context, name, submission)


async def _create(context: FunctionsContext, name: FunctionName, submission: Submission) -> Plan:
    asked, warnings = submission.read(name)
    await check_namespace(context, name)
    config, runtime = judge(context, asked)
    await check_guarantee(context.admin, config)
    if await judge_package(context, config, runtime, submission) is None:
        warnings += ("no package was sent: create needs one",)
    found = tuple(changes({}, _kept(config)))
    return Plan(
        "create",
        found,
        replaces_package=True,
        effect=effect(0, config.parallelism or 1, changed=False),
        warnings=warnings,
    )


async def _update(context: FunctionsContext, name: FunctionName, submission: Submission) -> Plan:
    intended = await intend(context, name, submission)
    if intended.changes_nothing:
        return Plan("none", (), replaces_package=False, effect=Effect(), warnings=intended.warnings)
    found = tuple(changes(_kept(intended.old), _kept(intended.new)))
    counts = (intended.old.parallelism or 1, intended.new.parallelism or 1)
    return Plan(
        "update",
        found,
        replaces_package=intended.package is not None,
        effect=_of_running(effect(*counts, changed=True), intended.before),
        warnings=intended.warnings,
    )


def _kept(config: FunctionConfig) -> dict[str, Any]:
    """Return a config as it comes back once it was written: what has no place there is no change."""
    return to_config(to_details(config)).to_json()


def _of_running(consequences: Effect, before: FunctionMetaData) -> Effect:
    """Leave out what a user has stopped: it is not restarted."""
    states = before.instanceStates
    kept = tuple(each for each in consequences.restarted if states.get(each) != STOPPED)
    return Effect(kept, consequences.started, consequences.stopped)
