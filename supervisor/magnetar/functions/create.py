"""Creating a function: judge everything, store the package, write the metadata."""

import time

import anyio
from magnetar_instance.proto.function import FunctionMetaData, PackageLocationMetaData

from magnetar.errors import OutOfDateError, RefusedError, RequestError
from magnetar.functions.admission import Package, check_namespace, judge, judge_package
from magnetar.functions.context import FunctionsContext
from magnetar.functions.guarantees import check_guarantee
from magnetar.functions.submission import Submission
from magnetar.model import to_details
from magnetar.model.names import FunctionName
from magnetar.runtimes.base import function_of
from magnetar.runtimes.handover import keep_token

_WITHOUT = (
    "the function has no credentials of its own, as the request came without a token: the broker may refuse its "
    "instances; update it by a token and with updateAuthData, or set magnetar.instanceCredentials"
)


async def create(context: FunctionsContext, name: FunctionName, submission: Submission) -> tuple[str, ...]:
    """Create a function and return warnings; its metadata is written, and its instances follow.

    Raises RefusedError, also when the name is taken: of several at once exactly one creates it.
    """
    asked, warnings = submission.read(name)
    await check_namespace(context, name)
    _refuse_taken(context, name)
    config, runtime = judge(context, asked)
    await check_guarantee(context.admin, config)
    package = await judge_package(context, config, runtime, submission)
    if package is None:
        raise RefusedError("Function Package is not provided: send the code as data, or its address as url")
    location, unlocked = await place(context, name, 0, package)
    metadata = FunctionMetaData(
        functionDetails=to_details(config), packageLocation=location, version=0, createTime=int(time.time() * 1000)
    )
    warnings += unlocked
    warnings += await keep_credentials(context, metadata, runtime, submission.token)
    try:
        await context.coordination.write(metadata)
    except OutOfDateError:
        await discard(context, name, package, location)
        raise _taken(name) from None
    context.logger.info("A function was created.", function=name.fqfn, runtime=runtime)
    return warnings


async def keep_credentials(
    context: FunctionsContext, metadata: FunctionMetaData, runtime: str, token: str | None
) -> tuple[str, ...]:
    """Have what the request authenticated with kept for the function's instances, and note it in its metadata.

    Returns warnings.
    """
    warnings: tuple[str, ...] = ()
    if context.external is not None and runtime == context.external.name:
        kept = await context.external.keep_credentials(function_of(metadata), token)
    else:
        kept = keep_token(token) if token and context.settings.keeps_tokens else None
        lacks = kept is None and context.settings.keeps_tokens and not context.settings.makes_tokens
        warnings = (_WITHOUT,) if lacks else ()
    if kept is None:
        metadata.ClearField("functionAuthSpec")
    else:
        metadata.functionAuthSpec.CopyFrom(kept)
    return warnings


async def place(
    context: FunctionsContext, name: FunctionName, version: int, package: Package
) -> tuple[PackageLocationMetaData, tuple[str, ...]]:
    """Store a package unless it is kept somewhere already, and its lock; returns where it is, and warnings."""
    location = package.location or await context.packages.upload(name, version, package.file, package.name)
    try:
        if package.lock is not None:
            await context.packages.keep_lock(name, location, package.lock)
    except RequestError as error:
        return location, (
            f"each worker resolves what {package.name} asks for by itself, as no lock could be kept: {error}",
        )
    return location, ()


async def discard(
    context: FunctionsContext, name: FunctionName, package: Package, location: PackageLocationMetaData
) -> None:
    """Take back what `place` stored, after a write that is known not to have happened."""
    if package.location is None:
        await delete_package(context, name, location)


async def delete_package(context: FunctionsContext, name: FunctionName, location: PackageLocationMetaData) -> None:
    """Delete a package that nobody uses any more; one that stays is logged, as the request has done its work."""
    with anyio.CancelScope(shield=True):
        try:
            await context.packages.delete(name, location)
        except RequestError as error:
            context.logger.warning("A package could not be deleted.", package=location.packagePath, reason=str(error))


def _refuse_taken(context: FunctionsContext, name: FunctionName) -> None:
    if name.fqfn in context.coordination.functions:
        raise _taken(name)


def _taken(name: FunctionName) -> RefusedError:
    return RefusedError(f"Function {name.name} already exists: update it, or choose another name")
