"""A worker that can give its instances users of their own: root's, with an interpreter that other users can reach."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import magnetar
import magnetar_broker
import magnetar_instance
import pulsar
import pytest
from magnetar.host_users import Account, unreachable, why_not_changeable
from standalone import Standalone

NUMBERS = range(230_000, 230_010)
SOMEBODY = Account(NUMBERS[0], NUMBERS[0])
_PACKAGES = [Path(each.__file__ or "").parents[1] for each in (magnetar, magnetar_instance, magnetar_broker, pulsar)]
_SYSTEM = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")


def _why_not() -> str:
    if why := why_not_changeable():
        return f"users can't be changed here: {why}"
    interpreters = [Path(sys.executable), _SYSTEM]
    closed = [unreachable(SOMEBODY, each) for each in _PACKAGES]
    if any(closed):
        return f"{next(filter(None, closed))} is closed to other users"
    return "" if any(not unreachable(SOMEBODY, each) for each in interpreters) else "no Python is open to other users"


needs_other_users = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "users can be changed here")


def open_python() -> list[str]:
    """The beginning of a command that runs Python for any user."""
    if unreachable(SOMEBODY, Path(sys.executable)) is None:
        return [sys.executable]
    path = os.pathsep.join(map(str, _PACKAGES))
    return ["env", f"PYTHONPATH={path}", str(_SYSTEM)]


class OpenStandalone(Standalone):
    """A worker whose interpreter its instances can use whatever their user is."""

    def command(self) -> list[str]:
        first, *rest = super().command()
        assert first == sys.executable
        return [*open_python(), *rest]


@contextmanager
def open_folder() -> Iterator[Path]:
    """A directory that everyone may pass through; those of pytest are one user's alone."""
    with tempfile.TemporaryDirectory(prefix="magnetar-users-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
