"""What can be wrong with a config file."""

from collections.abc import Sequence

from magnetar.errors import StartError


class ConfigError(StartError):
    """Raised when a config can't be used; `problems` holds every reason, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
