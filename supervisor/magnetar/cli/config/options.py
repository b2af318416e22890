"""Which config a verb of `magnetar config` reads."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

if TYPE_CHECKING:
    from magnetar.config import Effective


@dataclass(frozen=True)
class ConfigFile:
    """A file, or none for the defaults."""

    conf: Annotated[Path | None, Option("--conf", "-c", help="A functions_worker.yml; without it, the defaults.")] = (
        None
    )

    def read(self, environ: Mapping[str, str] = os.environ) -> "Effective":
        """Read the file and the environment as `magnetar worker` does. Raises ConfigError."""
        from magnetar.config import load_effective  # noqa: PLC0415 - keeps help quick

        return load_effective(self.conf, environ=environ)
