"""`config show`."""

import json
from typing import Annotated

from typer import Option

from magnetar.cli.config.options import ConfigFile
from magnetar.cli.output import Output


def show(
    file: ConfigFile,
    output: Output,
    *,
    effective: Annotated[bool, Option("--effective", help="Every setting, also those that no place gives.")] = False,
) -> None:
    """Print the settings that a file and the environment give, and where each comes from.

    Secrets are printed as ***. Variables are spelt PULSAR_workerPort, PF_workerPort or MAGNETAR_healthPort.
    """
    from magnetar.config.effective import settings  # noqa: PLC0415 - keeps help quick

    found = [setting for setting in settings(file.read()) if effective or setting.given]
    if output.as_json:
        output.json({setting.key: {"value": setting.value, "origin": setting.origin} for setting in found})
        return
    rows = [(setting.key, setting.origin, _shown(setting.value)) for setting in found]
    output.table(("setting", "from", "value"), rows, "Nothing is given: every setting has its default.")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
