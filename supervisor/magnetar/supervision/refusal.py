"""A version that an update can't bring, for whoever else would try it."""

from dataclasses import dataclass

OLD_GOES_ON = "the version before runs on"


@dataclass(frozen=True)
class Refusal:
    """A version that could not be run, by its fingerprint; with which instance that was found, on which worker, and why."""

    fingerprint: str
    reason: str
    fqiid: str
    worker: str

    def remark(self, fqiid: str, worker: str) -> str:
        """Return what the status of an instance says of it."""
        untried = f"it was not tried, for it failed with {self.fqiid} on worker {self.worker}: "
        prefix = "" if (fqiid, worker) == (self.fqiid, self.worker) else untried
        return f"the update could not be made, and {OLD_GOES_ON}: {prefix}{self.reason}"

    @property
    def brief(self) -> "Refusal":
        """The same with the first line of its reason, as others are told of it."""
        return Refusal(self.fingerprint, self.reason.partition("\n")[0], self.fqiid, self.worker)
