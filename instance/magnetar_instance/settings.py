"""What one instance is: the function, which of its instances, and where the broker is."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails

DEFAULT_PENDING = 1000
PENDING_KEY = "__MAX_PENDING_ASYNC_REQUESTS__"
"""In the user config: a function's own `maxPendingAsyncRequests`, which its details have no field for."""


@dataclass(frozen=True)
class ClientAuth:
    """How the instance authenticates to the broker, in the spelling of Pulsar's command line."""

    plugin: str = ""
    parameters: str = field(default="", repr=False)
    tls_allow_insecure: bool = False
    tls_hostname_verification: bool = False
    tls_trust_certs: str = ""


@dataclass(frozen=True)
class Dependencies:
    """Whether a wheel's dependencies are installed when the instance starts, and from which package indexes."""

    install: bool = False
    repository: str = ""
    extra_repository: str = ""


@dataclass(frozen=True)
class WindowConfig:
    """Which messages a window has, and when there is one: exactly one length, and exactly one interval.

    `extractor` is the class that tells a message's time; without one the time is that of its arrival.
    """

    length_count: int | None = None
    length_ms: int | None = None
    slide_count: int | None = None
    slide_ms: int | None = None
    late_topic: str = ""
    max_lag_ms: int = 0
    watermark_ms: int = 1000
    extractor: str = ""


@dataclass(frozen=True)
class InstanceSettings:
    """One instance; `code` is the uploaded file, `log_file` where its records and prints go."""

    details: FunctionDetails
    instance_id: int
    function_id: str
    function_version: str
    code: Path
    service_url: str
    cluster: str
    log_file: Path | None = None
    auth: ClientAuth = field(default_factory=ClientAuth)
    secrets_provider: str = ""
    secrets_config: str = ""
    state_storage_url: str = ""
    dependencies: Dependencies = field(default_factory=Dependencies)
    window: WindowConfig | None = None

    @property
    def fqfn(self) -> str:
        """The function's name as `tenant/namespace/name`."""
        return f"{self.details.tenant}/{self.details.namespace}/{self.details.name}"

    @property
    def most_pending(self) -> int:
        """How many messages an `async def` function has at a time."""
        values = json.loads(self.details.userConfig) if self.details.userConfig else {}
        own = values.get(PENDING_KEY)
        return own if isinstance(own, int) and own > 0 else DEFAULT_PENDING

    @property
    def fqiid(self) -> str:
        """The instance's name as `tenant/namespace/name:id`."""
        return f"{self.fqfn}:{self.instance_id}"
