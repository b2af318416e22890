"""When an update of an instance waits for other workers, and for how long. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


def is_shared(fqfn: str, owners: Mapping[str, str], worker: str) -> bool:
    """Whether other workers have instances of a function; `owners` are workers by `tenant/namespace/name:id`."""
    return any(owner != worker and fqiid.rpartition(":")[0] == fqfn for fqiid, owner in owners.items())


@dataclass(frozen=True)
class Wait:
    """What has been waited for, and since when; times in seconds of any clock."""

    cause: str
    since: float

    def on(self, cause: str, now: float) -> "Wait":
        """Return the wait as it is now: whatever else is waited for is waited for anew."""
        return self if cause == self.cause else Wait(cause, now)

    def is_over(self, now: float, patience: float) -> bool:
        """Whether it was waited for long enough."""
        return now - self.since >= patience
