"""Whether a config and its package can become a function on this worker."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread
from magnetar_instance.proto.function import PackageLocationMetaData

from magnetar.errors import BrokerRefusedError, RefusedError
from magnetar.functions.context import FunctionsContext
from magnetar.functions.submission import Submission
from magnetar.model import FunctionConfig, infer, parse_options, to_details, validate
from magnetar.model.details import BUILTIN
from magnetar.model.names import FunctionName
from magnetar.packages.inspect import check_package, check_shares_process, package_name
from magnetar.packages.kinds import HEAD, is_zip
from magnetar.packages.locations import base_name
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.choice import choose_runtime

_UNAUTHORIZED = (401, 403)
_NOT_FOUND = 404
MAX_PARALLELISM = 10_000
"""Far above what a fleet runs: one more digit by mistake must not bury the scheduler under instances."""


@dataclass(frozen=True)
class Package:
    """A package that was judged: `location` when it is kept somewhere already, else it is to be stored.

    `lock` is what its dependencies were resolved to.
    """

    file: Path
    name: str
    location: PackageLocationMetaData | None = None
    lock: bytes | None = None


async def check_namespace(context: FunctionsContext, name: FunctionName) -> None:
    """Raise RefusedError unless tenant and namespace are there."""
    try:
        namespaces = await context.admin.namespaces(name.tenant)
    except BrokerRefusedError as error:
        if error.status == _NOT_FOUND:
            raise RefusedError(f"Tenant does not exist: create the tenant {name.tenant!r} first") from None
        if error.status in _UNAUTHORIZED:
            raise BrokerRefusedError(str(error), 401) from None
        raise
    known = {(*space.split("/")[:1], space.rpartition("/")[2]) for space in namespaces}
    if (name.tenant, name.namespace) not in known:
        raise RefusedError(f"Namespace does not exist: create the namespace {name.tenant}/{name.namespace} first")


def judge(context: FunctionsContext, config: FunctionConfig) -> tuple[FunctionConfig, str]:
    """Return the config as it will be and its runtime. Raises RefusedError."""
    settings = context.settings
    inferred = infer(config, forwards_properties=settings.forwards_properties, pending=settings.pending)
    validate(inferred)
    if (inferred.parallelism or 1) > MAX_PARALLELISM:
        raise RefusedError(f"Function parallelism must be at most {MAX_PARALLELISM}: it is {inferred.parallelism}")
    asked = parse_options(inferred.custom_runtime_options).runtime
    runtime = choose_runtime(
        inferred.runtime or "JAVA",
        asked,
        allowed=context.settings.runtimes,
        default=context.settings.default_runtime,
    )
    name = FunctionName(inferred.tenant or "", inferred.namespace or "", inferred.name or "")
    settings.users.admit(name, runtime)
    if context.external is not None and runtime == context.external.name:
        context.external.admit(FunctionSpec(to_details(inferred), PackageLocationMetaData()))
    return inferred, runtime


async def judge_package(
    context: FunctionsContext, config: FunctionConfig, runtime: str, submission: Submission
) -> Package | None:
    """Fetch or take the package that a request brings and look into it; None when it brings none. Raises RefusedError."""
    language = config.runtime or "JAVA"
    if submission.url:
        package = await _from_url(context, submission.url, config.class_name, language)
    elif submission.upload:
        name = package_name(submission.upload.name, config.class_name, language)
        package = Package(submission.upload.path, name)
    elif (config.jar or "").startswith(BUILTIN):
        raise RefusedError(f"No Function {(config.jar or '').removeprefix(BUILTIN)} found: builtins need a jar here")
    else:
        return None
    return replace(package, lock=await look_into(context, package.file, package.name, config, runtime))


async def look_into(
    context: FunctionsContext, file: Path, name: str, config: FunctionConfig, runtime: str
) -> bytes | None:
    """Raise RefusedError unless the file can be the function's package; returns what its dependencies were resolved to."""
    language, runs_here = config.runtime or "JAVA", runtime != "kubernetes"
    check = partial(check_package, file, name, config.class_name, language, runs_here=runs_here)
    await anyio.to_thread.run_sync(check)
    if runtime == "thread":
        await anyio.to_thread.run_sync(check_shares_process, file, name)
    elif runtime == "process":
        await anyio.to_thread.run_sync(context.admit, to_details(config), file)
        if language == "PYTHON":
            return await context.dependencies(file, name)
    return None


async def _from_url(context: FunctionsContext, url: str, class_name: str | None, language: str) -> Package:
    given = base_name(url)
    fetched = await context.packages.fetch(PackageLocationMetaData(packagePath=url, originalFileName=given))
    name = package_name(given, class_name, language)
    if not given and language == "PYTHON" and await anyio.to_thread.run_sync(_is_zip, fetched):
        name = f"{Path(name).stem}.zip"
    return Package(fetched, name, PackageLocationMetaData(packagePath=url, originalFileName=name))


def _is_zip(file: Path) -> bool:
    with file.open("rb") as opened:
        return is_zip(opened.read(HEAD))
