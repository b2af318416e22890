"""All instances of this host: one task for each, and one diff that says which."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.changes import Changes
from magnetar.lifecycle import Phase
from magnetar.runtimes.base import RunningInstance
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired, plan
from magnetar.supervision.instance import SupervisedInstance
from magnetar.tasks import ServingTasks


class Supervisor:
    """Supervises the instances it is told to; an async context manager that ends them all when it is left."""

    def __init__(self, context: SupervisionContext) -> None:
        self._context = context
        self._instances: dict[str, SupervisedInstance] = {}
        self._changes = Changes()
        self._tasks = ServingTasks(cancels=False)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        for instance in self._instances.values():
            instance.leave()
        return await self._tasks.__aexit__(kind, error, trace)

    def apply(self, wanted: Mapping[str, Desired]) -> None:
        """Begin whatever leads from what is supervised to what is wanted; returns at once."""
        current = {fqiid: instance.desired for fqiid, instance in self._instances.items()}
        actions = plan({fqiid: desired for fqiid, desired in current.items() if desired is not None}, wanted)
        for fqiid in actions.remove:
            self._instances[fqiid].desire(None)
        for desired in (*actions.add, *actions.change):
            self._desire(desired)

    def _desire(self, desired: Desired) -> None:
        known = self._instances.get(desired.fqiid)
        if known is not None:
            known.desire(desired)
            return
        instance = SupervisedInstance(desired, self._context, self._changes.announce)
        self._instances[desired.fqiid] = instance
        self._tasks.group.start_soon(self._supervise, desired.fqiid, instance, name=f"instance {desired.fqiid}")

    async def _supervise(self, fqiid: str, instance: SupervisedInstance) -> None:
        await instance.run()
        del self._instances[fqiid]
        self._changes.announce()

    @property
    def generation(self) -> int:
        """A number that rises whenever an instance comes, goes or changes its phase."""
        return self._changes.generation

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""
        return await self._changes.after(seen)

    def views(self) -> list[InstanceView]:
        """Return every instance of this worker, stopped and failed ones included, sorted by name and id."""
        views = [instance.record.view() for instance in self._instances.values()]
        return sorted(views, key=lambda view: (view.fqfn, view.instance_id))

    def view(self, fqiid: str) -> InstanceView | None:
        """Return one instance, or None when this worker does not supervise it."""
        instance = self._instances.get(fqiid)
        return instance.record.view() if instance else None

    def running(self, fqiid: str) -> RunningInstance:
        """Return the process or thread of an instance, or raise ConnectionError when there is none."""
        instance = self._instances.get(fqiid)
        if instance is None:
            raise ConnectionError(f"{fqiid} is not assigned to this worker")
        alive = instance.record.running
        if alive is None or instance.record.phase is Phase.STARTING:
            raise ConnectionError(instance.record.reason or f"{fqiid} is {instance.record.phase}")
        return alive

    async def status(self, fqiid: str) -> FunctionStatus:
        """Ask a running instance, or raise ConnectionError with the reason why there is no answer."""
        return await self.running(fqiid).status()

    async def metrics(self, fqiid: str) -> MetricsData:
        """Ask a running instance for its figures, or raise ConnectionError."""
        return await self.running(fqiid).metrics()

    async def restart(self, fqiid: str) -> None:
        """Stop an instance and start it anew; returns once the new start was begun."""
        instance = self._instances.get(fqiid)
        if instance is None:
            raise ConnectionError(f"{fqiid} is not assigned to this worker")
        await instance.restart()
