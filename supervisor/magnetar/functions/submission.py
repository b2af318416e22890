"""What a client sends to create or update a function."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magnetar.errors import RefusedError
from magnetar.model import FunctionConfig, UpdateOptions, read_config
from magnetar.model.names import FunctionName


@dataclass(frozen=True)
class Upload:
    """A file that was received whole; whoever received it removes it."""

    path: Path
    name: str


@dataclass(frozen=True)
class Submission:
    """The parts of a create or update request; the URL wins over the file, as in Pulsar.

    `token` is the caller's own, where requests are authenticated and this one was by a token.
    """

    config: Any = None
    upload: Upload | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    options: UpdateOptions = field(default_factory=UpdateOptions)

    def read(self, name: FunctionName) -> tuple[FunctionConfig, tuple[str, ...]]:
        """Return the config under the request's own name, and warnings. Raises RefusedError."""
        if self.config is None:
            raise RefusedError("Function config is not provided: send functionConfig as JSON")
        config, warnings = read_config(self.config)
        return config.with_changes(tenant=name.tenant, namespace=name.namespace, name=name.name), warnings
