"""One start of an instance process: what was composed for it, and what its record on disk tells the next worker."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from google.protobuf.message import DecodeError
from magnetar_instance.proto.function import FunctionDetails

from magnetar.host_users import Account
from magnetar.processes.identity import Identity, read_record
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.instance import Before
from magnetar.runtimes.process.launch import Place


@dataclass(frozen=True)
class Start:
    """One start; the `marker` tells its processes from others, `waits` says that it was prepared and told to wait."""

    spec: InstanceSpec
    place: Place
    before: Before
    marker: str
    record: Path
    linked: bool
    waits: bool = False

    @property
    def key(self) -> str:
        """What a guardian holds its link under."""
        return self.spec.function_id

    def facts(self) -> dict[str, object]:
        """Return what its record says beside what identifies the process."""
        spec, place = self.spec, self.place
        return {
            "instance": spec.fqiid,
            "instanceId": spec.instance_id,
            "functionId": spec.function_id,
            "functionVersion": spec.function_version,
            "fingerprint": spec.fingerprint,
            "details": base64.b64encode(spec.details.SerializeToString()).decode(),
            "marker": self.marker,
            "user": [place.account.uid, place.account.gid] if place.account else None,
            "log": str(place.log_file),
            "package": str(place.package),
            "environment": str(spec.environment or ""),
            "grpcPort": place.port,
            "metricsPort": place.metrics_port,
            "linked": self.linked,
            "waits": self.waits,
            "sizes": {str(file): size for file, size in self.before.sizes.items()},
            "oomKills": self.before.oom_kills,
        }

    @classmethod
    def from_record(cls, path: Path, record: Mapping[str, Any]) -> Self:
        """Read a record. Raises KeyError, TypeError, ValueError and DecodeError when it is none of this version's."""
        details = FunctionDetails.FromString(base64.b64decode(record["details"]))
        package = Path(record["package"])
        spec = InstanceSpec(
            details,
            int(record["instanceId"]),
            package,
            str(record["functionId"]),
            str(record["functionVersion"]),
            environment=Path(record["environment"]) if record.get("environment") else None,
            fingerprint=str(record["fingerprint"]),
        )
        account = Account(*record["user"]) if record.get("user") else None
        ports = int(record["grpcPort"]), int(record["metricsPort"])
        place = Place(package, *ports, Path(record["log"]), account=account)
        sizes = {Path(file): int(size) for file, size in record["sizes"].items()}
        before = Before(sizes, int(record["oomKills"]))
        return cls(spec, place, before, str(record["marker"]), path, bool(record["linked"]), bool(record["waits"]))


@dataclass(frozen=True)
class Recorded:
    """A process that a record tells of; `start` is None where the record can't be understood."""

    path: Path
    identity: Identity
    instance: str
    start: Start | None


def recorded(directory: Path) -> list[Recorded]:
    """Return what the records of a directory tell, oldest first; files that are none are passed over."""
    found = [each for path in directory.glob("*.json") if (each := _read(path)) is not None]
    return sorted(found, key=lambda each: each.identity.start_time)


def _read(path: Path) -> Recorded | None:
    record = read_record(path)
    identity = Identity.from_record(record)
    if identity is None:
        return None
    try:
        start: Start | None = Start.from_record(path, record)
    except (KeyError, TypeError, ValueError, AttributeError, DecodeError):
        start = None
    return Recorded(path, identity, str(record.get("instance", "")), start)
