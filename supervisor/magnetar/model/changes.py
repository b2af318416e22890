"""What an update would change, field by field. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One field before and after; None is absence."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Effect:
    """What becomes of the instances, by number."""

    restarted: tuple[int, ...] = ()
    started: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()


def changes(before: Mapping[str, Any], after: Mapping[str, Any], where: str = "") -> Iterator[Change]:
    """Yield the fields that differ, those of blocks with the block's name before them."""
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from changes(old, new, f"{where}{key}.")
        elif old != new:
            yield Change(f"{where}{key}", old, new)


def effect(before: int, after: int, *, changed: bool) -> Effect:
    """Return what an update does to instances whose number goes from `before` to `after`."""
    return Effect(
        restarted=tuple(range(min(before, after))) if changed else (),
        started=tuple(range(before, after)),
        stopped=tuple(range(after, before)),
    )
