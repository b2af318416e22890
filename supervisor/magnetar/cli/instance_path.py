"""`magnetar instance-path`."""

import sys
from importlib.util import find_spec
from pathlib import Path

from magnetar.errors import StartError


def instance_path() -> None:
    """Print where the Python instance's launcher is, for pythonInstanceLocation of Pulsar's own worker."""
    spec = find_spec("magnetar_instance")
    folders = spec.submodule_search_locations if spec else None
    launcher = Path(folders[0]) / "launcher" / "python_instance_main.py" if folders else None
    if launcher is None or not launcher.is_file():
        raise StartError("the Python instance is not installed: install magnetar-instance beside magnetar")
    sys.stdout.write(f"{launcher}\n")
