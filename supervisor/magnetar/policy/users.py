"""Which user of the host a function's instances run as. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName

if TYPE_CHECKING:
    from magnetar.config.worker import WorkerConfig  # what is supervised needs no configuration to be loaded


@dataclass(frozen=True)
class UserPolicy:
    """Users by whose they are: `named` by tenant, tenant/namespace, full name or `*`; the rest get one of `numbers`."""

    named: Mapping[str, str] = field(default_factory=dict)
    numbers: range = range(0)
    per: Literal["function", "tenant"] = "function"

    @property
    def gives_any(self) -> bool:
        """Whether any function runs as another user than the worker."""
        return bool(self.named or self.numbers)

    def named_for(self, name: FunctionName) -> str | None:
        """Return the user that was named for a function, the longest name first."""
        tenant, namespace, _ = name
        keys = (name.fqfn, f"{tenant}/{namespace}", tenant, "*")
        return next((self.named[key] for key in keys if key in self.named), None)

    def covers(self, name: FunctionName) -> bool:
        """Whether a function gets a user that is not the worker's own."""
        return bool(self.numbers) or self.named_for(name) is not None

    def admit(self, name: FunctionName, runtime: str) -> None:
        """Raise RefusedError for a function that is to be a thread, which can't have another user than its worker."""
        if runtime == "thread" and self.covers(name):
            raise RefusedError(
                "a thread runs as the worker's user, and magnetar.users gives the function one of its own: use the process "
                'runtime, e.g. customRuntimeOptions: \'{"magnetar": {"runtime": "process"}}\''
            )

    def whose(self, name: FunctionName) -> str:
        """Return whose number it is that a function's instances run as."""
        return name.fqfn if self.per == "function" else name.tenant


def user_policy(config: "WorkerConfig") -> UserPolicy:
    """Return which users of this host functions run as."""
    users = config.magnetar.users
    return UserPolicy(users.named, users.pool, users.per)
