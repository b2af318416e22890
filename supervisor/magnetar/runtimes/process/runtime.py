"""The process runtime: each instance is a process of its own on this host."""

import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from structlog.stdlib import BoundLogger

from magnetar.errors import RefusedError
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger
from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnError
from magnetar.processes.child import Child
from magnetar.processes.launcher import Launcher
from magnetar.processes.leftovers import INSTANCE_MARKER, kill_leftovers
from magnetar.runtimes.base import InstanceSpec, RuntimeStartError, Survivor
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.handover import remove_tokens_of_the_dead
from magnetar.runtimes.process.asking import Asking, Resumed, Voice
from magnetar.runtimes.process.belongings import Estate
from magnetar.runtimes.process.command import python_environment
from magnetar.runtimes.process.confinement import Confined, Confinement
from magnetar.runtimes.process.instance import Before, ProcessInstance
from magnetar.runtimes.process.java_levels import write_level
from magnetar.runtimes.process.launch import Language, Launch, Place, health_interval
from magnetar.runtimes.process.link import SupervisorLink
from magnetar.runtimes.process.links import Links
from magnetar.runtimes.process.scraper import Scraper
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar.runtimes.process.start import Start
from magnetar.runtimes.process.stub import InstanceStub
from magnetar.runtimes.process.survivors import Survivors
from magnetar.runtimes.process.users import demand_reach
from magnetar.runtimes.process.zygotes import Zygotes
from magnetar.tasks import ServingTasks

LINK_VARIABLE = "MAGNETAR_SUPERVISOR_FD"
WAITS_VARIABLE = "MAGNETAR_WAITS"
_SILENT_INTERVALS = 3
"""After so many silent intervals an instance of ours is pinged; one that works tells of that itself."""


class ProcessRuntime:
    """Runs instances as processes; an async context manager, entered before and left after all of its instances.

    The launcher is the worker's; `languages` are by Pulsar's names of them. Python instances of ours are forked by a zygote,
    which is kept warm for as long as the runtime is entered; where it can't, and for every other program, the launcher
    runs the command. Where the launcher survives this process, so do the instances; what another worker left is adopted by
    name, and what nobody adopts is ended by `end_unwanted`.
    """

    name = "process"

    def __init__(
        self,
        settings: ProcessSettings,
        launcher: Launcher,
        languages: Mapping[str, Language],
        *,
        rotator: LogRotator | None = None,
        logger: BoundLogger | None = None,
    ) -> None:
        self._settings = settings
        self._rotator = rotator
        self._launcher = launcher
        self._languages = languages
        self._log = logger or worker_logger()
        self._estate = Estate(settings)
        self._tasks = ServingTasks()
        self._scraper = Scraper()
        self._zygotes: Zygotes
        self._links: Links
        self._confinement = Confinement(settings.limits, self._log)
        self._survivors = Survivors(self._take_up, self._estate.users.fits, settings.stop_grace)
        self._environments: Counter[Path] = Counter()

    @property
    def zygote_pids(self) -> list[int]:
        """The process ids of the zygotes that fork this runtime's instances."""
        return self._zygotes.pids

    @property
    def environments(self) -> frozenset[Path]:
        """What instances import from beside their own code, those included that wait to be adopted."""
        return frozenset(+self._environments) | self._survivors.environments

    async def __aenter__(self) -> Self:
        self._settings.records.mkdir(parents=True, exist_ok=True)
        await self._confinement.__aenter__()
        self._links = Links(_SILENT_INTERVALS * health_interval(self._settings.health_check_interval))
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._links.run, name="pings")
        self._zygotes = Zygotes(self._launcher, self._tasks.group, self._log)
        if self._settings.zygote and self._settings.python_instance is None:
            self._zygotes.warm(python_environment(self._settings))
        await self._survivors.find(self._settings.records, self._launcher)
        remove_tokens_of_the_dead(self._settings.records)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._links.close()
            await self._confinement.__aexit__(None, None, None)
            await self._scraper.close()

    async def start(self, spec: InstanceSpec) -> ProcessInstance:
        """Start an instance. Raises RuntimeStartError when that is not possible now, RefusedError when it never is."""
        return await self._begin(self._language(spec), spec, waits=False)

    async def prepare(self, spec: InstanceSpec) -> ProcessInstance | None:
        """Start a Python instance of ours that waits to be told to subscribe; None for every other. Raises as `start`."""
        language = self._language(spec)
        return await self._begin(language, spec, waits=True) if language.can_wait else None

    async def adopt(self, fqiid: str) -> Survivor | None:
        """Take over the instance of this name that a worker before this one left."""
        instance = await self._survivors.adopt(fqiid)
        return None if instance is None else Survivor(instance, instance.fingerprint, self.name)

    async def end_unwanted(self, wanted: Collection[str]) -> None:
        """End what was left of instances that are not wanted here."""
        unwanted = self._survivors.names - set(wanted)
        for name in sorted(unwanted):
            self._log.info("An instance that another worker left is not wanted here any more.", instance=name)
        await self._survivors.end(unwanted)

    def _language(self, spec: InstanceSpec) -> Language:
        language = self._languages.get(language_of(spec.details))
        if language is None:
            raise RefusedError(f"{language_of(spec.details)} functions can't run in the process runtime of this worker")
        return language

    async def _begin(self, language: Language, spec: InstanceSpec, *, waits: bool) -> ProcessInstance:
        try:
            async with AsyncExitStack() as undo:
                belongings = self._estate.of(spec)
                undo.push_async_callback(belongings.remove)
                place = await belongings.make()
                launch = self._as_its_user(language.launch(spec, place), place)
                start = self._composed(spec, place, launch, belongings.record, waits=waits)
                return await self._run(start, launch, undo)
        except (OSError, SpawnError, LauncherGoneError) as problem:
            raise RuntimeStartError(f"the process could not be started: {problem}") from problem

    def _as_its_user(self, launch: Launch, place: Place) -> Launch:
        """Return a launch whose environment is its own user's, if it has one. Raises RuntimeStartError."""
        demand_reach(launch, place)
        if place.account is None:
            return launch
        name, home = place.account.name, place.account.home or str(place.home)
        own = {"HOME": home, **({"USER": name, "LOGNAME": name} if name else {})}
        return replace(launch, environment={**launch.environment, **own})

    def _composed(self, spec: InstanceSpec, place: Place, launch: Launch, record: Path, *, waits: bool) -> Start:
        marker = f"{self._launcher.mark}:{spec.fqiid}:{spec.function_id}"
        return Start(spec, place, Before.now(launch, place), marker, record, launch.linked, waits)

    async def _run(self, start: Start, launch: Launch, undo: AsyncExitStack) -> ProcessInstance:
        if levels := _levels_of(launch, undo):
            write_level(levels, None)
        link = self._links.open() if launch.linked else None
        if link is not None:
            self._release_at_end(start, link, undo)
            await self._launcher.hold(start.key, link.descriptor)
        confined = self._confined(start, undo)
        child = await self._spawn(start, launch, link, confined)
        # A process that was killed while it wrote its record left half of one.
        undo.callback(start.record.with_name(f"{start.record.name}.{child.pid}").unlink, missing_ok=True)
        if link is not None:
            link.close_theirs()
        return self._instance(start, launch, child, link, undo, confined)

    async def _take_up(self, start: Start, child: Child) -> ProcessInstance:
        """Make an instance of a process that another worker started, with all that has to be undone at its end."""
        launch = self._relaunch(start)
        descriptor = await self._launcher.fetch(start.key) if start.linked else None
        async with AsyncExitStack() as undo:
            belongings = self._estate.of(start.spec)
            undo.push_async_callback(belongings.remove)
            belongings.keep(start.place)
            _levels_of(launch, undo)
            link = None
            if descriptor is not None:
                link = self._links.open(socket.socket(fileno=descriptor))
                self._release_at_end(start, link, undo)
            confined = self._confined(start, undo)
            return self._instance(start, launch, child, link, undo, confined, adopted=True)

    def _confined(self, start: Start, undo: AsyncExitStack) -> Confined | None:
        confined = self._confinement.confine(start.spec.details, start.key)
        if confined is not None:
            undo.callback(confined.remove)
        return confined

    def _release_at_end(self, start: Start, link: SupervisorLink, undo: AsyncExitStack) -> None:
        undo.push_async_callback(self._launcher.release, start.key)
        undo.callback(link.close)

    def _relaunch(self, start: Start) -> Launch:
        """Return what is known of how a running process was launched; that it could not be launched now is no matter."""
        try:
            launch = self._language(start.spec).launch(start.spec, start.place)
        except RefusedError:
            launch = Launch([], {}, start.place.log_file)
        return replace(launch, linked=start.linked)

    def _instance(
        self,
        start: Start,
        launch: Launch,
        child: Child,
        link: SupervisorLink | None,
        undo: AsyncExitStack,
        confined: Confined | None,
        *,
        adopted: bool = False,
    ) -> ProcessInstance:
        undo.callback(self._confinement.attend(confined, child))
        undo.callback(self._kill_leftovers, start, confined)
        undo.callback(self._attend_log(launch, link))
        undo.callback(self._hold(start.spec.environment))
        stub = InstanceStub(start.place.port)
        undo.push_async_callback(stub.close)
        voice: Voice
        if link is None:
            told_ready = start.before.told_ready(launch, start.place)
            voice = Asking(child, stub, launch.health_interval, told_ready)
        else:
            voice = Resumed(child, stub, link) if adopted else link
        return ProcessInstance(
            start.spec,
            child,
            launch,
            start.place,
            start.before,
            voice=voice,
            stub=stub,
            scrape=self._scraper.page,
            clean_up=undo.pop_all().aclose,
            send=link.send if link else None,
            survives=self._launcher.survives,
            confined=confined,
        )

    async def _spawn(
        self, start: Start, launch: Launch, link: SupervisorLink | None, confined: Confined | None
    ) -> Child:
        waits = {WAITS_VARIABLE: "1"} if start.waits else {}
        wanted = Spawn(
            launch.argv,
            {**launch.environment, INSTANCE_MARKER: start.marker, **waits},
            cwd=str(launch.cwd) if launch.cwd else None,
            output=str(launch.output),
            record=str(start.record),
            facts=start.facts(),
            limits=self._confinement.resource_limits(start.spec.details),
            group=str(confined.group.members) if confined and confined.group else None,
            user=start.place.account,
            no_new_privileges=self._confinement.no_new_privileges,
            descriptors={} if link is None or link.theirs is None else {LINK_VARIABLE: link.theirs.fileno()},
        )
        # What a zygote imports it imports as the worker's user: no package of a function with another one may be among it.
        alone = start.place.account is not None and start.spec.environment is not None
        if self._settings.zygote and launch.forked_argv is not None and not alone:
            try:
                return await self._zygotes.spawn(launch.environment, replace(wanted, argv=launch.forked_argv))
            except LauncherGoneError as problem:
                self._log.warning(
                    "An instance is run without a zygote.", instance=start.spec.fqiid, reason=str(problem)
                )
        return await self._launcher.spawn(wanted)

    def _attend_log(self, launch: Launch, link: SupervisorLink | None) -> Callable[[], None]:
        """Have an instance's output rotated; returns what ends that."""
        if self._rotator is None or launch.rotation == "own":
            return lambda: None
        reopen = partial(link.send, "reopen-log") if link and launch.rotation == "reopen" else None
        return self._rotator.attend(launch.output, reopen)

    def _hold(self, environment: Path | None) -> Callable[[], None]:
        """Count an environment as in use; returns what ends that."""
        if environment is None:
            return lambda: None
        self._environments[environment] += 1
        return partial(self._environments.subtract, (environment,))

    def _kill_leftovers(self, start: Start, confined: Confined | None) -> None:
        if confined is not None:
            confined.kill_leftovers()
        left = kill_leftovers(self._launcher.parent, start.marker, known=self._launcher.family.pids)
        if left:
            self._log.warning(
                "Processes that an instance left behind were killed.", instance=start.spec.fqiid, pids=left
            )


def _levels_of(launch: Launch, undo: AsyncExitStack) -> Path | None:
    """Return the file with the levels of an instance's log, if it has one, which goes with the instance."""
    if launch.levels is not None:
        undo.callback(partial(launch.levels.unlink, missing_ok=True))
    return launch.levels
