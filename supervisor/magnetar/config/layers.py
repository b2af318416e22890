"""Settings from several places, one over the other, each value with its origin. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from magnetar.config.text import Document, Path

DEFAULT = "default"
"""The origin of a value that no place gives."""


@dataclass(frozen=True)
class Layer:
    """Values of one place, in the file's spelling; `places` says of some paths more exactly where they stand."""

    name: str
    values: Mapping[str, Any]
    places: Mapping[Path, str] = field(default_factory=dict)

    @classmethod
    def of_document(cls, document: Document) -> "Layer":
        """Return the layer of a parsed file."""
        places = {path: f"{document.name}:{line}" for path, line in document.lines.items()}
        return cls(document.name, document.values, places)

    def has(self, path: Path) -> bool:
        """Whether this place gives a value; one that is empty counts as absent."""
        found: Any = self.values
        for part in path:
            if isinstance(found, Mapping):
                found = found.get(part)
            elif isinstance(found, Sequence) and not isinstance(found, str) and isinstance(part, int):
                found = found[part] if part < len(found) else None
            else:
                return False
        return found is not None

    def place(self, path: Path) -> str:
        """Return where a path stands, or the nearest parent whose place is known."""
        for end in range(len(path), 0, -1):
            if place := self.places.get(path[:end]):
                return place
        return self.name


@dataclass(frozen=True)
class Layers:
    """Layers from the lowest to the highest."""

    all: tuple[Layer, ...]

    @property
    def values(self) -> dict[str, Any]:
        """All values, the higher over the lower, blocks key by key."""
        found: dict[str, Any] = {}
        for layer in self.all:
            found = _merged(found, layer.values)
        return found

    def origin(self, path: Path) -> str:
        """Return where the value of a path comes from."""
        return next((layer.place(path) for layer in reversed(self.all) if layer.has(path)), DEFAULT)

    def at(self, path: Path) -> str:
        """Return the beginning of a sentence about a path: the place of it or of its nearest parent that has one."""
        for end in range(len(path), 0, -1):
            for layer in reversed(self.all):
                if layer.has(path[:end]) or path[:end] in layer.places:
                    return f"{layer.place(path[:end])}: "
        return ""


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged
