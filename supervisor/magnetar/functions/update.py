"""Updating a function: what is not named stays, what can't change is refused by name."""

from dataclasses import dataclass

from magnetar_instance.proto.function import FunctionMetaData

from magnetar.errors import OutOfDateError, RefusedError, RequestError
from magnetar.functions.admission import Package, judge, judge_package, look_into
from magnetar.functions.context import FunctionsContext, is_function
from magnetar.functions.create import delete_package, discard, keep_credentials, place
from magnetar.functions.guarantees import check_guarantee
from magnetar.functions.submission import Submission
from magnetar.model import FunctionConfig, merge, to_config, to_details
from magnetar.model.names import FunctionName

NO_CHANGE = "Update contains no change: nothing was written"


@dataclass(frozen=True)
class Intended:
    """What an update would make of a function."""

    before: FunctionMetaData
    old: FunctionConfig
    new: FunctionConfig
    runtime: str
    package: Package | None
    warnings: tuple[str, ...]

    @property
    def changes_nothing(self) -> bool:
        """Whether the function would stay as it is."""
        return self.package is None and to_details(self.new) == to_details(self.old)


async def update(context: FunctionsContext, name: FunctionName, submission: Submission) -> tuple[str, ...]:
    """Update a function and return warnings; one that changes nothing writes nothing.

    Raises RefusedError, also for an unknown name (as Pulsar does), and OutOfDateError when another change came first.
    """
    intended = await intend(context, name, submission)
    if intended.changes_nothing and not submission.options.update_auth_data:
        return (*intended.warnings, NO_CHANGE)
    changed = FunctionMetaData()
    changed.CopyFrom(intended.before)
    changed.functionDetails.CopyFrom(to_details(intended.new))
    changed.version += 1
    warnings = intended.warnings
    if intended.package:
        location, unlocked = await place(context, name, changed.version, intended.package)
        changed.packageLocation.CopyFrom(location)
        warnings += unlocked
    if submission.options.update_auth_data:
        warnings += await keep_credentials(context, changed, intended.runtime, submission.token)
    try:
        await context.coordination.write(changed)
    except OutOfDateError:
        if intended.package:
            await discard(context, name, intended.package, changed.packageLocation)
        raise
    if changed.packageLocation != intended.before.packageLocation:
        await delete_package(context, name, intended.before.packageLocation)
    context.logger.info("A function was updated.", function=name.fqfn, version=changed.version)
    return warnings


async def intend(context: FunctionsContext, name: FunctionName, submission: Submission) -> Intended:
    """Return what a request would make of a function. Raises RefusedError."""
    before = context.coordination.functions.get(name.fqfn)
    if before is None:
        raise RefusedError(f"Function {name.name} doesn't exist: create it first")
    if not is_function(before):
        context.metadata(name)
    asked, warnings = submission.read(name)
    old = to_config(before.functionDetails)
    merged, runtime = judge(context, merge(old, asked))
    await check_guarantee(context.admin, merged)
    package = await judge_package(context, merged.with_changes(jar=asked.jar), runtime, submission)
    if package is None and _reads_the_package_anew(old, merged):
        await _look_into_stored(context, before, merged, runtime)
    return Intended(before, old, merged, runtime, package, warnings)


def _reads_the_package_anew(old: FunctionConfig, new: FunctionConfig) -> bool:
    return old.class_name != new.class_name or old.custom_runtime_options != new.custom_runtime_options


async def _look_into_stored(
    context: FunctionsContext, before: FunctionMetaData, config: FunctionConfig, runtime: str
) -> None:
    location = before.packageLocation
    try:
        file = await context.packages.fetch(location)
    except RequestError as error:
        raise RefusedError(f"the stored package can't be read, send it again with the update: {error}") from None
    await look_into(context, file, location.originalFileName or file.name, config, runtime)
