"""What ends an instance's start."""


class BootError(Exception):
    """Raised for what no retry can mend: an import error, a missing class, a config that can't be honoured."""

    def __init__(self, reason: str, traceback: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.traceback = traceback
