"""The artefacts of Pulsar's Java instance as a list that is shipped: coordinates, sizes and checksums. Pure."""

from dataclasses import dataclass
from pathlib import Path

LOCKED = "4.0.7"
"""The version of Pulsar that the shipped list is of."""
INSTANCE_ARTIFACT = "pulsar-functions-runtime-all"


@dataclass(frozen=True)
class Artefact:
    """One jar of a Maven repository."""

    group: str
    artifact: str
    version: str
    classifier: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """The file's name in a repository and in a class path."""
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"

    @property
    def path(self) -> str:
        """The path in a repository, below its base address."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def read_lock(text: str) -> tuple[Artefact, ...]:
    """Return the artefacts that a lock file lists: `group:artifact:version[:classifier] size sha256` a line."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(_artefact(coordinates, int(size), sha256) for coordinates, size, sha256 in lines)


def shipped_lock() -> tuple[Artefact, ...]:
    """Return the artefacts of the version that is locked."""
    return read_lock((Path(__file__).parent / f"pulsar-{LOCKED}.lock").read_text(encoding="utf-8"))


def _artefact(coordinates: str, size: int, sha256: str) -> Artefact:
    group, artifact, version, *classifier = coordinates.split(":")
    return Artefact(group, artifact, version, "".join(classifier), size, sha256)
