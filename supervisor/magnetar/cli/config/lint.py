"""`config lint`."""

import sys
from typing import Annotated

from typer import Exit, Option

from magnetar.cli.config.options import ConfigFile
from magnetar.cli.output import Output


def lint(
    file: ConfigFile,
    output: Output,
    *,
    strict: Annotated[bool, Option("--strict", help="Fail for what has no effect, too.")] = False,
) -> None:
    """List everything that is wrong in a file and the environment, and what has no effect, with line numbers.

    Exits with 1 when a worker would refuse to start.
    """
    from magnetar.config import ConfigError  # noqa: PLC0415 - keeps help quick

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    try:
        warnings = file.read().config.warnings
    except ConfigError as error:
        problems = error.problems
    if output.as_json:
        output.json({"problems": list(problems), "warnings": list(warnings)})
    else:
        sys.stdout.writelines(f"{line}\n" for line in (*problems, *(f"warning: {line}" for line in warnings)))
        sys.stdout.write(_verdict(len(problems), len(warnings)))
    raise Exit(1 if problems or (strict and warnings) else 0)


def _verdict(problems: int, warnings: int) -> str:
    if problems:
        return f"A worker would not start: {problems} to mend.\n"
    return f"A worker would start; {warnings} without effect.\n" if warnings else "A worker would start.\n"
