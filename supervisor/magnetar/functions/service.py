"""All that can be done with functions, for whoever serves requests; no HTTP in it."""

from magnetar_instance.proto.function import FunctionMetaData

from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination.base import Coordination, WorkerInfo
from magnetar.errors import NotReadyError, RefusedError
from magnetar.functions import (
    create,
    function_state,
    log_level,
    owners,
    plan,
    refusals,
    remove,
    restart,
    stats,
    status,
    trigger,
    update,
)
from magnetar.functions.context import (
    Admission,
    DependencyCheck,
    FunctionsContext,
    anything,
    is_function,
    nothing_asked,
)
from magnetar.functions.peers import Peers
from magnetar.functions.plan import Plan
from magnetar.functions.settings import FunctionsSettings
from magnetar.functions.states import with_state
from magnetar.functions.submission import Submission
from magnetar.model import FunctionConfig, to_config
from magnetar.model.function_state import FunctionState
from magnetar.model.names import FunctionName, whole_function
from magnetar.model.stats import FunctionInstanceStatsData, FunctionStats
from magnetar.model.status import FunctionInstanceStatusData, FunctionStatus
from magnetar.packages.store import PackageStore
from magnetar.pulsar_client import PulsarClient
from magnetar.runtimes.base import ExternalRuntime, FunctionSpec, function_of
from magnetar.supervision.base import LocalInstances
from magnetar.supervision.desired import Desired
from magnetar.supervision.refusal import Refusal


class FunctionsService:
    """Functions of the fleet, seen from one worker; every method raises the errors of `magnetar.errors`."""

    def __init__(
        self,
        coordination: Coordination,
        instances: LocalInstances,
        packages: PackageStore,
        admin: BrokerAdmin,
        client: PulsarClient,
        peers: Peers,
        settings: FunctionsSettings,
        external: ExternalRuntime | None = None,
        *,
        admit: Admission = anything,
        dependencies: DependencyCheck = nothing_asked,
    ) -> None:
        self._context = FunctionsContext(
            coordination, instances, packages, admin, client, peers, settings, external, admit, dependencies
        )

    @property
    def worker(self) -> WorkerInfo:
        """The worker that this is."""
        return self._context.settings.worker

    @property
    def peers(self) -> Peers:
        """The other workers of the fleet."""
        return self._context.peers

    async def owners_elsewhere(self, name: FunctionName) -> dict[int, WorkerInfo]:
        """Return the living workers that have instances of a function, this one left out."""
        return await owners.elsewhere(self._context, name)

    def refusal(self, name: FunctionName) -> Refusal | None:
        """Return the version of a function that this worker does not try. Raises UnknownFunctionError."""
        self.any_metadata(name)
        return self._context.instances.refusal(name.fqfn)

    async def refusal_elsewhere(self, name: FunctionName, fingerprint: str) -> Refusal | None:
        """Return why a version is not to be tried, as far as the function's other workers know."""
        return await refusals.refusal_elsewhere(self._context, name, fingerprint)

    async def set_log_level(
        self, name: FunctionName, instance_id: int | None, level: str, seconds: float | None
    ) -> None:
        """Set the level of one instance's log or of all, for a while or until the next start."""
        await log_level.set_log_level(self._context, name, instance_id, level, seconds)

    def as_a_whole(self, name: FunctionName) -> tuple[ExternalRuntime, FunctionSpec] | None:
        """Return the runtime of a function that is run as a whole, and the function; None for any other.

        Raises UnknownFunctionError.
        """
        metadata = self.any_metadata(name)
        external = self._context.external
        if external is None or self._context.settings.runtime_of(metadata.functionDetails) != external.name:
            return None
        return external, function_of(metadata)

    async def create(self, name: FunctionName, submission: Submission) -> tuple[str, ...]:
        """Create a function and return warnings: its metadata is written, its instances follow."""
        return await create.create(self._context, name, submission)

    async def update(self, name: FunctionName, submission: Submission) -> tuple[str, ...]:
        """Update a function and return warnings."""
        return await update.update(self._context, name, submission)

    async def plan(self, name: FunctionName, submission: Submission) -> Plan:
        """Return what a create or update would do, without doing it."""
        return await plan.plan(self._context, name, submission)

    async def delete(self, name: FunctionName) -> None:
        """Delete a function; its instances end soon after."""
        await remove.delete(self._context, name)

    def get(self, name: FunctionName) -> FunctionConfig:
        """Return a function's config."""
        return to_config(self._context.metadata(name).functionDetails)

    def any_metadata(self, name: FunctionName) -> FunctionMetaData:
        """Return all that is kept of a function, source or sink."""
        found = self._context.coordination.functions.get(name.fqfn)
        return found if found is not None else self._context.metadata(name)

    def names(self, tenant: str, namespace: str) -> list[str]:
        """Return the names of a namespace's functions, sorted."""
        known = self._context.coordination.functions.values()
        details = (metadata.functionDetails for metadata in known if is_function(metadata))
        return sorted(each.name for each in details if (each.tenant, each.namespace) == (tenant, namespace))

    async def set_running(self, name: FunctionName, instance_id: int | None, *, running: bool) -> None:
        """Start or stop a function, or one instance of it; written to its metadata."""
        coordination = self._context.coordination
        metadata = self._context.metadata(name)
        if instance_id is not None and whole_function(name.fqfn) in coordination.assignments:
            raise RefusedError(
                "Operation not permitted: the instances of this function are stopped and started together; "
                "update its parallelism to have fewer"
            )
        await coordination.write(with_state(metadata, instance_id, running=running))

    async def restart(self, name: FunctionName) -> None:
        """Restart all instances of a function where they are."""
        await restart.restart(self._context, name)

    async def restart_instance(self, name: FunctionName, instance_id: int) -> None:
        """Restart an instance of this worker. Raises OwnedElsewhere."""
        await restart.restart_instance(self._context, name, instance_id)

    async def status(self, name: FunctionName) -> FunctionStatus:
        """Return the state of all instances of a function."""
        return await status.status(self._context, name)

    async def instance_status(self, name: FunctionName, instance_id: int) -> FunctionInstanceStatusData:
        """Return the state of one instance. Raises OwnedElsewhere."""
        return await status.instance_status(self._context, name, instance_id)

    async def stats(self, name: FunctionName) -> FunctionStats:
        """Return the figures of a function."""
        return await stats.stats(self._context, name)

    async def instance_stats(self, name: FunctionName, instance_id: int) -> FunctionInstanceStatsData:
        """Return the figures of one instance. Raises OwnedElsewhere."""
        return await stats.instance_figures(self._context, name, instance_id)

    async def local_stats(self) -> list[tuple[str, FunctionInstanceStatsData]]:
        """Return the figures of this worker's instances by their full names."""
        return await stats.local_stats(self._context)

    async def trigger(self, name: FunctionName, data: bytes | None, topic: str | None) -> bytes | None:
        """Send a message to a function and return what comes out of it; None for a function without output."""
        return await trigger.trigger(self._context, name, data, topic)

    async def state(self, name: FunctionName, key: str) -> FunctionState:
        """Return what a function keeps under a key. Raises KeyMissingError, and OwnedElsewhere."""
        return await function_state.read(self._context, name, key)

    async def put_state(self, name: FunctionName, key: str, state: FunctionState) -> None:
        """Let a function keep a value under a key. Raises OwnedElsewhere."""
        await function_state.write(self._context, name, key, state)

    async def write(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Take a peer's change of a function's metadata. Raises NotReadyError unless this worker leads."""
        coordination = self._context.coordination
        if not coordination.is_leader:
            raise NotReadyError("this worker does not lead the fleet, or is not ready to: try again in a little while")
        await (coordination.delete(metadata) if delete else coordination.write(metadata))

    async def clean_up(self, removed: Desired) -> None:
        """Clean up after an instance that was removed from this worker: the `removed` of the supervision's context."""
        await remove.clean_up(self._context, removed)
