"""The verb `magnetar doctor`."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from magnetar.cli.doctor.findings import Finding, Verdict
from magnetar.cli.output import Output


def doctor(
    output: Output,
    *,
    conf: Annotated[
        Path | None, Option("--conf", "-c", help="Look at what this functions_worker.yml needs, instead of standalone.")
    ] = None,
    data_dir: Annotated[
        Path | None, Option(help="Whose processes are looked for.", show_default="as the config says")
    ] = None,
    end_strays: Annotated[
        bool, Option("--end-strays", help="End what workers that are gone left of this directory, and nothing else.")
    ] = False,
) -> None:
    """Check that this host has what workers and functions need; exits with 1 when something would fail.

    Looks at the interpreter, Pulsar's client, the kernel, limits, Java and Go, and at the ports and directories of a config;
    with --conf also at the Pulsar that the config names.
    Lists what workers that are gone left running in the data directory.
    """
    found = list(_look(conf, data_dir, end_strays=end_strays))
    if output.as_json:
        output.json([asdict(finding) for finding in found])
    else:
        rows = [(each.verdict.value, each.what, each.detail, each.remedy) for each in found]
        output.table(("", "what", "found", "remedy"), rows, "")
    raise Exit(1 if any(each.verdict is Verdict.FAILURE for each in found) else 0)


def _look(conf: Path | None, data_dir: Path | None, *, end_strays: bool) -> Iterator[Finding]:
    from magnetar.cli.doctor.host import (  # noqa: PLC0415 - keeps help quick
        look_at_client,
        look_at_interpreter,
        look_at_kernel,
        look_at_limits,
        look_at_programs,
    )

    yield look_at_interpreter()
    yield look_at_client()
    yield look_at_kernel()
    yield look_at_limits()
    yield from look_at_programs()
    yield from _look_at_config(conf, data_dir, end_strays=end_strays)


def _look_at_config(conf: Path | None, data_dir: Path | None, *, end_strays: bool) -> Iterator[Finding]:
    from magnetar.cli.doctor.security import look_at_security  # noqa: PLC0415
    from magnetar.cli.doctor.settings import (  # noqa: PLC0415
        look_at_directories,
        look_at_java_instance,
        look_at_ports,
        look_at_pulsar,
        look_at_space,
    )
    from magnetar.cli.doctor.strays import look_at_strays  # noqa: PLC0415
    from magnetar.config import ConfigError, load_config  # noqa: PLC0415
    from magnetar.standalone import StandaloneOptions, standalone_config  # noqa: PLC0415

    try:
        config = (
            load_config(conf, environ=os.environ)
            if conf
            else standalone_config(StandaloneOptions(), environ=os.environ)
        )
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("config", Verdict.FAILURE, problem, "mend it; magnetar config lint tells all")
        return
    yield from look_at_strays(data_dir or config.magnetar.data_directory, end=end_strays)
    yield look_at_java_instance(config)
    yield from look_at_ports(config)
    yield from look_at_security(config)
    yield from look_at_directories(config)
    yield from look_at_space(config)
    yield from look_at_pulsar(config)
