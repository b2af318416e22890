"""Each instance's own copy of its package, where Pulsar's worker puts it."""

import itertools
import os
import shutil
from pathlib import Path

import anyio
import anyio.to_thread
from magnetar_instance.proto.function import FunctionDetails

from magnetar.host_users import Account, hand_over
from magnetar.runtimes.base import InstanceSpec

_FEW = 20


class PackageCopies:
    """Copies packages to `<directory>/<tenant>/<namespace>/<name>/<instance>/<original name>`.

    An instance that starts while its predecessor still lives gets a directory beside it. Whatever a crash left there goes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._used: set[Path] = set()
        self._removals = anyio.CapacityLimiter(2)

    def place(self, spec: InstanceSpec, account: Account | None = None) -> Path:
        """Return the copy: an account's alone, or a hard link where that is possible. Raises OSError."""
        folder = self._free_folder(spec)
        _remove(folder)
        folder.mkdir(parents=True)
        copy = folder / spec.package.name
        self._used.add(folder)
        if account is None:
            _link_or_copy(spec.package, copy)
        else:
            shutil.copyfile(spec.package, copy)
        if spec.details.runtime == FunctionDetails.GO:
            copy.chmod(copy.stat().st_mode | 0o111)
        if account is not None:
            hand_over(folder, account)
        return copy

    def keep(self, copy: Path) -> None:
        """Leave a copy alone that another worker made, until it is removed."""
        self._used.add(copy.parent)

    def _free_folder(self, spec: InstanceSpec) -> Path:
        details = spec.details
        function = self._directory / details.tenant / details.namespace / details.name
        names = (str(spec.instance_id), *(f"{spec.instance_id}.{number}" for number in range(1, len(self._used) + 1)))
        return next(folder for name in names if (folder := function / name) not in self._used)

    async def remove(self, copy: Path) -> None:
        """Remove a copy with its directory; what takes long is done beside the event loop."""
        if not _removed_alone(copy) and not _is_small(copy.parent):
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, copy.parent, limiter=self._removals)
        self.remove_now(copy)

    def remove_now(self, copy: Path) -> None:
        """Remove a copy with its directory, and the function's directories that are empty then."""
        if copy.parent.exists():
            _remove(copy.parent)
        self._used.discard(copy.parent)
        for parent in list(copy.parent.parents)[:3]:
            try:
                parent.rmdir()
            except OSError:
                return


def _removed_alone(copy: Path) -> bool:
    """Remove a copy that has its directory for itself, which is the usual case and the quickest."""
    try:
        copy.unlink()
        copy.parent.rmdir()
    except OSError:
        return False
    return True


def _is_small(folder: Path) -> bool:
    """Whether a directory is removed sooner than a thread is woken for it."""
    return len(list(itertools.islice(folder.rglob("*"), _FEW + 1))) <= _FEW


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
