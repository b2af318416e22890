"""All instances of this host: one task for each, and one diff that says which."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.changes import Changes
from magnetar.errors import RefusedError
from magnetar.jitter import spread
from magnetar.model.names import parse_fqiid, whole_function
from magnetar.runtimes.base import ExternalRuntime, RunningInstance
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired, plan
from magnetar.supervision.events import InstanceEvent
from magnetar.supervision.function import SupervisedFunction
from magnetar.supervision.instance import SupervisedInstance
from magnetar.supervision.refusal import Refusal
from magnetar.tasks import ServingTasks

_LONG = 2.0
"""Seconds that an end may take before it is told whose is waited for, and between those messages."""
_NAMED = 10
_BY_ITSELF = "have the function set it, by a value of its userConfig for example"

Supervised = SupervisedInstance | SupervisedFunction


class Supervisor:
    """Supervises the instances it is told to; an async context manager that ends them all when it is left.

    A function that something else keeps alive as a whole is one entry with the id -1, and is left running.
    """

    def __init__(self, context: SupervisionContext) -> None:
        self._context = context
        self._instances: dict[str, Supervised] = {}
        self._changes = Changes()
        self._tasks = ServingTasks(cancels=False)
        self._followers = ServingTasks()

    async def __aenter__(self) -> Self:
        await self._followers.__aenter__()
        if self._context.external is not None:
            self._followers.group.start_soon(self._follow, self._context.external, name="follow the external runtime")
        await self._tasks.__aenter__()
        return self

    async def _follow(self, runtime: ExternalRuntime) -> None:
        """Announce what an external runtime tells of its instances."""
        seen = runtime.generation
        while True:
            seen = await runtime.changed(seen)
            self._changes.announce()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        for instance in self._instances.values():
            instance.leave()
        self._followers.group.start_soon(self._tell_who_is_waited_for, name="who is waited for")
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            await self._followers.__aexit__(None, None, None)

    async def _tell_who_is_waited_for(self) -> None:
        """Say whose end is waited for, while it takes long."""
        while True:
            # The timer `who is waited for`.
            await anyio.sleep(spread(_LONG))
            left = sorted(self._instances)
            names = ", ".join(left[:_NAMED]) + (", …" if len(left) > _NAMED else "")
            self._context.logger.info("Instances have not ended yet.", left=len(left), instances=names)

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
        kind = SupervisedFunction if desired.is_whole_function else SupervisedInstance
        instance: Supervised = kind(desired, self._context, self._changes.announce)
        self._instances[desired.fqiid] = instance
        self._tasks.group.start_soon(self._supervise, desired.fqiid, instance, name=f"instance {desired.fqiid}")

    async def _supervise(self, fqiid: str, instance: Supervised) -> None:
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
        views = [view for instance in self._instances.values() for view in instance.views()]
        return sorted(views, key=lambda view: (view.fqfn, view.instance_id))

    def names(self) -> list[str]:
        """Return the name of every instance of this worker."""
        instances = self._instances.items()
        return [
            name
            for fqiid, each in instances
            for name in ([fqiid] if isinstance(each, SupervisedInstance) else [view.fqiid for view in each.views()])
        ]

    def view(self, fqiid: str) -> InstanceView | None:
        """Return one instance, or None when this worker does not supervise it."""
        instance = self._instances.get(fqiid) or self._whole(fqiid)
        views = instance.views() if instance else []
        return next((view for view in views if view.fqiid == fqiid), None)

    def events(self, fqiid: str, since: int = 0) -> list[InstanceEvent]:
        """Return an instance's last events; those of a function that something else keeps alive are not told here."""
        instance = self._instances.get(fqiid)
        return instance.events(since) if isinstance(instance, SupervisedInstance) else []

    def refusal(self, fqfn: str) -> Refusal | None:
        """Return the version of a function that is not tried here."""
        return self._context.rollouts.refusal(fqfn)

    def _whole(self, fqiid: str) -> SupervisedFunction | None:
        """Return the function that an instance belongs to, where functions are supervised as a whole."""
        name, _ = parse_fqiid(fqiid)
        found = self._instances.get(whole_function(name.fqfn))
        return found if isinstance(found, SupervisedFunction) else None

    def _find(self, fqiid: str) -> Supervised:
        found = self._instances.get(fqiid) or self._whole(fqiid)
        if found is None:
            raise ConnectionError(f"{fqiid} is not assigned to this worker")
        return found

    async def status(self, fqiid: str) -> FunctionStatus:
        """Ask a running instance, or raise ConnectionError with the reason why there is no answer."""
        found = self._find(fqiid)
        if isinstance(found, SupervisedFunction):
            return await found.status(parse_fqiid(fqiid)[1])
        return await found.alive().status()

    async def metrics(self, fqiid: str) -> MetricsData:
        """Ask a running instance for its figures, or raise ConnectionError."""
        found = self._find(fqiid)
        if isinstance(found, SupervisedFunction):
            return await found.metrics(parse_fqiid(fqiid)[1])
        return await found.alive().metrics()

    def running(self, fqiid: str) -> RunningInstance:
        """Return the process or thread of an instance, or raise ConnectionError when there is none on this host."""
        found = self._find(fqiid)
        if isinstance(found, SupervisedFunction):
            raise ConnectionError(f"{fqiid} does not run on this host")
        return found.alive()

    def set_log_level(self, fqiid: str, level: str, seconds: float | None) -> None:
        """Set the level of an instance's log, or raise ConnectionError or RefusedError."""
        found = self._find(fqiid)
        if isinstance(found, SupervisedFunction):
            raise RefusedError(f"{fqiid} runs in a pod, where the log level can't be changed from here: {_BY_ITSELF}")
        if not found.alive().set_log_level(level, seconds):
            raise RefusedError(
                f"the log level of {fqiid} can't be changed while it runs, as it takes no commands: {_BY_ITSELF}"
            )

    async def restart(self, fqiid: str) -> None:
        """Stop an instance and start it anew; returns once the new start was begun."""
        found = self._find(fqiid)
        if isinstance(found, SupervisedFunction):
            instance_id = parse_fqiid(fqiid)[1]
            await found.restart(None if instance_id < 0 else instance_id)
        else:
            await found.restart()
