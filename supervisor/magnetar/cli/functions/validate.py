"""`functions validate`."""

import os
import tempfile
from pathlib import Path

from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.output import Output, warn


def validate(function: FunctionOptions, output: Output) -> None:
    """Judge a config and its package as Magnetar's worker would, without a worker: nothing is sent.

    What a Python package asks for is resolved, with uv's own settings, and not installed. Only a worker can tell whether
    the tenant, the namespace and a package behind a URL are there.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick
    from magnetar.model import infer, parse_options  # noqa: PLC0415
    from magnetar.model import validate as judge  # noqa: PLC0415
    from magnetar.packages.inspect import check_package, check_shares_process  # noqa: PLC0415

    given = read_given(function)
    for sentence in given.warnings:
        warn(sentence)
    config = infer(given.config.with_changes(**given.name._asdict()))
    judge(config)
    if given.file and config.runtime:
        check_package(given.file, given.file.name, config.class_name, config.runtime)
        if parse_options(config.custom_runtime_options).runtime == "thread":
            check_shares_process(given.file, given.file.name)
        elif config.runtime == "PYTHON":
            _resolve(given.file)
    output.done(f"{given.name.fqfn} is valid.", valid=given.name.fqfn, warnings=list(given.warnings))


def _resolve(package: Path) -> None:
    """Resolve what a package asks for. Raises RefusedError with uv's words, NotReadyError where it had no answer."""
    from magnetar.packages.environments import Environments, EnvironmentSettings, asks_for_others  # noqa: PLC0415
    from magnetar.packages.installer import Installer  # noqa: PLC0415
    from magnetar.processes.launcher import Launcher  # noqa: PLC0415

    if not asks_for_others(package, package.name):
        return
    import anyio  # noqa: PLC0415

    async def resolve(directory: Path) -> None:
        async with Launcher() as launcher:
            installer = Installer(directory / "cache", launcher.spawn, os.environ)
            await Environments(directory, installer, EnvironmentSettings()).check(package, package.name)

    with tempfile.TemporaryDirectory(prefix="magnetar-validate-") as directory:
        anyio.run(resolve, Path(directory))
