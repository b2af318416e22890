"""Which version of an instance is to run: what is desired, or the one before where an update was rejected."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from google.protobuf.message import DecodeError
from magnetar_instance.proto.function import FunctionMetaData, PackageLocationMetaData

from magnetar.processes.identity import read_record, write_private
from magnetar.supervision.desired import Desired
from magnetar.supervision.refusal import Refusal

Hold = Callable[[PackageLocationMetaData], Callable[[], None]]


class Versions:
    """The versions of one instance; `hold` keeps the package of the one that was ready last.

    A rejected one, and the one that runs instead, are written down in `directory`, where there is one: the next worker of
    this host goes on with them.
    """

    def __init__(self, desired: Desired, directory: Path | None, hold: Hold, worker: str) -> None:
        self._hold = hold
        self._worker = worker
        self._let_go: Callable[[], None] = lambda: None
        self._file = directory / f"{quote(desired.fqiid, safe='')}.json" if directory else None
        self.runs = ""
        """The fingerprint of the version that runs, or is about to."""
        self.proven: Desired | None = None
        """The version that was ready last."""
        self.rejected: Refusal | None = None
        if self._file is not None:
            self._recall(self._file, desired)

    def to_run(self, desired: Desired) -> Desired:
        """Return what is to run where this is desired."""
        return self.proven if self.proven is not None and self.rejects(desired) else desired

    def rejects(self, desired: Desired) -> bool:
        """Whether this is a version that was rejected."""
        return self.rejected is not None and self.rejected.fingerprint == desired.fingerprint

    def is_outdated(self, desired: Desired) -> bool:
        """Whether what runs is to be replaced by what is desired."""
        return desired.fingerprint != self.runs and not self.rejects(desired)

    def may_come_back_from(self, version: Desired) -> bool:
        """Whether there is another version to run instead of one that never got ready."""
        return self.proven is not None and self.proven.fingerprint != version.fingerprint

    def prove(self, version: Desired) -> bool:
        """Note that a version got ready; returns whether it is a new one, for which what was rejected is forgiven."""
        if version.fingerprint != self.runs:
            return False
        is_new = self.proven is None or self.proven.fingerprint != version.fingerprint
        self._keep(version)
        if is_new and self.rejected is not None:
            self.forgive()
        return is_new

    def reject(self, refusal: Refusal) -> None:
        """Note that a version is not to be tried again."""
        self.rejected = refusal
        if self._file is not None and self.proven is not None:
            _write(self._file, refusal, self.proven)

    def forgive(self) -> None:
        """Have whatever was rejected tried again."""
        self.rejected = None
        self._forget_file()

    def forget(self) -> None:
        """Know of no version that ran, as for an instance that was stopped or is gone."""
        self._keep(None)
        self.forgive()

    def _keep(self, version: Desired | None) -> None:
        """Have the package of a version on this host for as long as it may have to run again."""
        before, self.proven = self._let_go, version
        self._let_go = self._hold(version.metadata.packageLocation) if version else lambda: None
        before()

    def _forget_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _recall(self, file: Path, desired: Desired) -> None:
        """Go on with what the worker before knew, unless something else is desired by now."""
        record = read_record(file)
        if record.get("rejected") != desired.fingerprint:
            self._forget_file()
            return
        with suppress(KeyError, TypeError, ValueError, DecodeError):
            metadata = FunctionMetaData.FromString(base64.b64decode(record["metadata"]))
            by, worker = str(record.get("by", desired.fqiid)), str(record.get("worker", self._worker))
            self.rejected = Refusal(desired.fingerprint, str(record["reason"]), by, worker)
            self._keep(Desired(metadata, desired.instance_id))


def _write(file: Path, rejected: Refusal, runs: Desired) -> None:
    """Write it whole or not at all, for the worker's eyes alone: metadata hold tokens. What can't be kept is forgotten."""
    record = {
        "rejected": rejected.fingerprint,
        "reason": rejected.reason,
        "by": rejected.fqiid,
        "worker": rejected.worker,
        "runs": runs.fingerprint,
        "metadata": base64.b64encode(runs.metadata.SerializeToString()).decode(),
    }
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, json.dumps(record))
