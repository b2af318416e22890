"""The form in which a function's config and package go to a worker."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from magnetar.client.transfers import Progress, reading
from magnetar.model.function import FunctionConfig
from magnetar.model.names import FunctionName

OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Deployment:
    """A config, which holds tenant, namespace and name, and its package: a file here, or a URL that the worker reads."""

    config: FunctionConfig | Mapping[str, object]
    file: Path | None = None
    url: str | None = None
    progress: Progress | None = None

    @property
    def values(self) -> dict[str, object]:
        """The config as JSON holds it."""
        return self.config.to_json() if isinstance(self.config, FunctionConfig) else dict(self.config)

    @property
    def name(self) -> FunctionName:
        """The function's name."""
        values = self.values
        return FunctionName(*(str(values[key]) for key in ("tenant", "namespace", "name")))

    @contextmanager
    def parts(self, **more: Mapping[str, object]) -> Iterator[dict[str, object]]:
        """Open the file and yield the parts, in the order of Pulsar's client; `more` are further JSON parts."""
        found: dict[str, object] = {"url": text_part(self.url)} if self.url else {}
        found |= {"functionConfig": json_part(self.values)}
        found |= {name: json_part(values) for name, values in more.items()}
        with ExitStack() as opened:
            if self.file:
                found["data"] = (self.file.name, opened.enter_context(reading(self.file, self.progress)), OCTETS)
            yield found


def json_part(values: Mapping[str, object]) -> tuple[None, bytes, str]:
    """Return a part that holds JSON."""
    return None, json.dumps(values).encode(), "application/json"


def text_part(text: str) -> tuple[None, bytes, str]:
    """Return a part that holds text."""
    return None, text.encode(), "text/plain"
