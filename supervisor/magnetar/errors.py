"""What can go wrong with a request, named for the state of the thing asked for; each carries its HTTP status."""


class RequestError(Exception):
    """Raised when a request cannot be carried out; its message is one line that says what to do."""

    status = 500


class RefusedError(RequestError):
    """Raised when a request's content is not acceptable (Pulsar answers 400, an existing name included)."""

    status = 400


class NotAuthenticatedError(RequestError):
    """Raised when a request does not show who sends it, or what it shows does not hold."""

    status = 401


class NotAuthorizedError(RequestError):
    """Raised when who sends a request may not do what it asks for (Pulsar answers 401, not 403)."""

    status = 401


class UnknownFunctionError(RequestError):
    """Raised when no function has the name."""

    status = 404


class KeyMissingError(RequestError):
    """Raised when a function keeps nothing under a key."""

    status = 404


class OutOfDateError(RequestError):
    """Raised when another change of the same function came first."""

    status = 400


class BusyError(RequestError):
    """Raised while an operation of the same kind is under way."""

    status = 409


class DrainedError(RequestError):
    """Raised when a worker that was drained before, and is still in the fleet, is to be drained again."""

    status = 412


class NotReadyError(RequestError):
    """Raised while the worker, its leader or a broker connection is still starting; the message names the step."""

    status = 503


class TimedOutError(RequestError):
    """Raised when an answer did not come in time (trigger)."""

    status = 408


class BrokerRefusedError(RequestError):
    """Raised when the broker's admin API answers with an error; `status` is the broker's own."""

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class BrokenDownloadError(RequestError):
    """Raised when a file could not be fetched whole; asking again goes on where it broke off."""

    status = 502


class StartError(Exception):
    """Raised when a worker or server can't start; its message is one line that says what to do."""


class AddressInUseError(StartError):
    """Raised when an address to listen on is taken or can't be bound; `setting` names the setting that holds it."""

    def __init__(self, setting: str, host: str, port: int) -> None:
        super().__init__(
            f"{setting}: {host}:{port} can't be listened on; another program uses it or the address is not this "
            f"host's. Give another {setting}, or 0 for any free port."
        )


class RefusedByWorkerError(Exception):
    """Raised when a worker answers a client with an error; `status` is HTTP's, `reason` the worker's own sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{reason} (the worker answered {status})")
        self.status = status
        self.reason = reason


class UnreachableError(Exception):
    """Raised when no worker answers a client at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no worker answers at {url} ({reason}); start one, or give its address")
        self.url = url
