import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from magnetar.config import load_config
from magnetar.config.descriptions import SECTIONS
from magnetar.config.environment import variables

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "conf" / "functions_worker.yml"
KEYS = [".".join(map(str, path)) for path in dict.fromkeys(variable.path for variable in variables().values())]


def test_files_that_are_made_of_the_code_are_current() -> None:
    """Whoever changes a key or a command writes the shipped file and the manual anew: scripts/docs."""
    command = [sys.executable, "-m", "docs_from_code", "--check"]
    found = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "All are current.\n"), found.stdout + found.stderr


def test_every_key_is_described_once() -> None:
    """No key without a line about it, and no line about a key that is gone."""
    described = [key for keys in SECTIONS.values() for key in keys]
    assert sorted(described) == sorted(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_shipped_file_has_every_key_below_a_line_about_it(key: str) -> None:
    """Active or commented out, each key is there to be found."""
    indent = "  " * key.count(".")
    lines = SHIPPED.read_text().splitlines()
    [*places] = [
        number
        for number, line in enumerate(lines)
        if re.match(rf"{indent}#?{re.escape(key.rpartition('.')[2])}:", line)
    ]
    assert places
    assert all(lines[number - 1].startswith(f"{indent}# ") for number in places)


def test_the_shipped_file_means_the_defaults() -> None:
    """It can be used as it is: no problem, no warning, and each value is the default."""
    shipped, defaults = load_config(SHIPPED), load_config()
    assert shipped.warnings == ()
    differing = {name for name in type(shipped).model_fields if getattr(shipped, name) != getattr(defaults, name)}
    assert differing == {"function_runtime_factory_configs"}
    assert shipped.process_runtime == defaults.process_runtime
