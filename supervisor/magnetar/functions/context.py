"""What every operation on functions works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData

from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination.base import Coordination
from magnetar.errors import UnknownFunctionError
from magnetar.functions.peers import Peers
from magnetar.functions.settings import FunctionsSettings
from magnetar.logs import worker_logger
from magnetar.model.names import FunctionName
from magnetar.packages.store import PackageStore
from magnetar.pulsar_client import PulsarClient
from magnetar.runtimes.base import ExternalRuntime
from magnetar.supervision.base import LocalInstances

Admission = Callable[[FunctionDetails, Path], None]
"""Raises RefusedError for a function, with its package, that the processes of this worker can't run."""
DependencyCheck = Callable[[Path, str], Awaitable[bytes | None]]
"""Raises the errors of requests for a Python package (its file, its name) whose dependencies can't be had.

Returns what they were resolved to, to be kept with the package; None where it asks for nothing."""
_NOT_FUNCTIONS = (FunctionDetails.SOURCE, FunctionDetails.SINK)


def anything(details: FunctionDetails, package: Path) -> None:
    """Admit every function."""


async def nothing_asked(package: Path, name: str) -> None:
    """Admit every package, whatever it depends on."""


@dataclass(frozen=True)
class FunctionsContext:
    """The rooms around the functions' service; `external` is the runtime that runs functions as a whole, if one does.

    `admit` judges what processes of this worker are to run, `dependencies` what Python packages depend on there.
    """

    coordination: Coordination
    instances: LocalInstances
    packages: PackageStore
    admin: BrokerAdmin
    client: PulsarClient
    peers: Peers
    settings: FunctionsSettings
    external: ExternalRuntime | None = None
    admit: Admission = anything
    dependencies: DependencyCheck = nothing_asked
    logger: structlog.stdlib.BoundLogger = field(default_factory=worker_logger)

    @property
    def worker_id(self) -> str:
        """The name of this worker in assignments."""
        return self.settings.worker.worker_id

    def metadata(self, name: FunctionName) -> FunctionMetaData:
        """Return a function's metadata. Raises UnknownFunctionError, for a source or sink as well."""
        found = self.coordination.functions.get(name.fqfn)
        if found is None or found.functionDetails.componentType in _NOT_FUNCTIONS:
            raise UnknownFunctionError(f"Function {name.name} doesn't exist")
        return found


def is_function(metadata: FunctionMetaData) -> bool:
    """Whether it is a function, not a source or a sink."""
    return metadata.functionDetails.componentType not in _NOT_FUNCTIONS
