"""What ends an instance."""


class BootError(Exception):
    """Raised for what no retry can mend: an import error, a missing class, a config that can't be honoured."""

    def __init__(self, reason: str, traceback: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.traceback = traceback


class FunctionExitError(Exception):
    """Raised when the function called sys.exit: the instance ends and is started again."""

    def __init__(self, code: object) -> None:
        super().__init__(f"the function called sys.exit({code!r})")
        self.code = code if isinstance(code, int) and code else 1


class BeginAnewError(Exception):
    """Raised when results can't be confirmed any more: an instance subscribes anew, at the first unacknowledged input."""


class StateError(RuntimeError):
    """Raised when state can't be read or written as asked."""


class StateUnavailableError(StateError):
    """Raised when a function asks for state that its instance has no store for."""
