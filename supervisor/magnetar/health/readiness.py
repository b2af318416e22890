"""What a worker still waits for before it can do its work."""

from magnetar.changes import Changes


class Readiness:
    """The steps of a start, in order, each done or waited on; ready once all are done."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        self._waiting = dict.fromkeys(steps, "")
        self._steps = steps
        self._changes = Changes()

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for."""
        return not self._waiting

    @property
    def waiting(self) -> dict[str, str]:
        """The steps that are not done, in order, each with what is known of its delay."""
        return {step: self._waiting[step] for step in self._steps if step in self._waiting}

    def done(self, step: str) -> None:
        """Note that a step is done."""
        if self._waiting.pop(step, None) is not None:
            self._changes.announce()

    def undone(self, step: str, why: str = "") -> None:
        """Note that a step is waited on again, or why it takes its time."""
        self._waiting[step] = why
        self._changes.announce()

    async def wait(self) -> None:
        """Wait until every step is done."""
        while self._waiting:
            await self._changes.after(self._changes.generation)
