"""Where a Python function keeps its state on this host: among that of others, or in a directory of its own user."""

import shutil
from pathlib import Path
from urllib.parse import quote

from magnetar.model.names import FunctionName


def state_directory(data: Path, name: FunctionName) -> Path:
    """Return the directory of a function's state: its own, once it had a user of its own, else that of all."""
    own = own_state(data, name)
    return own if own.is_dir() else shared_state(data)


def shared_state(data: Path) -> Path:
    """Return where functions keep their state that run as the worker's user."""
    return data / "state"


def own_state(data: Path, name: FunctionName) -> Path:
    """Return the directory that a function has for itself where it runs as a user of its own."""
    return data / "users" / "@".join(quote(part, safe="") for part in name)


def remove_own_state(data: Path, name: FunctionName) -> None:
    """Remove the directory that a function had for itself."""
    shutil.rmtree(own_state(data, name), ignore_errors=True)
