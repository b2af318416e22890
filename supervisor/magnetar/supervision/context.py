"""What a supervised instance needs of the worker around it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData, PackageLocationMetaData
from structlog.stdlib import BoundLogger

from magnetar.logs import worker_logger
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar.runtimes.base import ExternalRuntime, Runtime, Survivor
from magnetar.supervision.desired import Desired
from magnetar.supervision.rollouts import Rollouts


async def no_environment(function: FunctionMetaData, package: Path, installing: Callable[[str], None]) -> None:
    """Stand for a worker that installs nothing for its functions."""


@dataclass(frozen=True)
class SupervisionContext:
    """The surroundings of all supervised instances of one worker; times in seconds.

    `fetch` brings a package onto this host, `environment` what it depends on, telling what is installed for it; `choose`
    names the runtime of a function or raises RefusedError;
    `removed` is awaited once an instance that is not wanted any more has ended. `external` is the runtime that runs
    functions as a whole, if one does; `assigned` says whether any worker of the fleet has an assignment;
    `rejected_versions` is where updates that could not be made are remembered; `hold` keeps a package on this host, which
    may have been deleted by the update of its function, until what it returns is called.
    """

    worker_id: str
    runtimes: Mapping[str, Runtime]
    fetch: Callable[[PackageLocationMetaData], Awaitable[Path]]
    choose: Callable[[FunctionDetails], str]
    removed: Callable[[Desired], Awaitable[None]]
    policy: RestartPolicy
    stop_grace: float
    start_timeout: float
    starts: anyio.CapacityLimiter
    environment: Callable[[FunctionMetaData, Path, Callable[[str], None]], Awaitable[Path | None]] = no_environment
    external: ExternalRuntime | None = None
    rollouts: Rollouts = field(default_factory=Rollouts)
    assigned: Callable[[str], bool] = lambda _: False
    health: HealthPolicy = field(default_factory=HealthPolicy)
    rejected_versions: Path | None = None
    hold: Callable[[PackageLocationMetaData], Callable[[], None]] = lambda _: lambda: None
    logger: BoundLogger = field(default_factory=worker_logger)

    async def survivor(self, fqiid: str) -> Survivor | None:
        """Return the instance of this name that another worker left, in whichever runtime."""
        for runtime in self.runtimes.values():
            if (found := await runtime.adopt(fqiid)) is not None:
                return found
        return None
