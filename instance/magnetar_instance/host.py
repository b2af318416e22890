"""The process around an instance: signals, supervisor, watchdog and servers on one event loop, the function in a thread."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable

from magnetar_instance.arguments import HostOptions
from magnetar_instance.control import ControlServer, Serving
from magnetar_instance.errors import BootError, FunctionExitError
from magnetar_instance.functions import UserFunction
from magnetar_instance.instance import Instance
from magnetar_instance.log_level import LogLevel
from magnetar_instance.metrics_http import MetricsServer
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.supervisor_link import Command, SupervisorLink

EXIT_BOOT_FAILED = 78
BIND_ADDRESS = "MAGNETAR_BIND_ADDRESS"
"""An environment variable: where an instance without a supervisor on its host listens; everywhere when it is not set."""
_WATCHDOG_INTERVALS = 3


class Host:
    """Runs one instance as a process; `run` is called once, in the main thread."""

    def __init__(
        self,
        settings: InstanceSettings,
        options: HostOptions,
        function: UserFunction,
        *,
        link: SupervisorLink | None,
        reopen_log: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._options = options
        self._link = link
        self._reopen_log = reopen_log
        self._logger = logging.getLogger()
        self._instance = Instance(
            settings,
            load=lambda _: function,
            logger=self._logger,
            notify=self._notify,
            waits=link is not None and link.waits,
        )
        self._log_level = LogLevel(self._logger)
        self._watchdog: asyncio.TimerHandle | None = None

    async def run(self) -> int:
        """Run until the instance has ended; returns the exit code."""
        self._loop = asyncio.get_running_loop()
        self._serving = Serving()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        fqfn = self._settings.fqfn
        names = {"", fqfn, f"{fqfn}/{self._settings.instance_id}"}
        control = ControlServer(self._instance, self._serving, names, self._asked)
        metrics = MetricsServer(self._instance.metrics_text)
        address = "127.0.0.1" if self._link else os.environ.get(BIND_ADDRESS)
        await control.start(address or "[::]", self._options.port)
        await metrics.start(address, self._options.metrics_port)
        try:
            return await self._until_ended()
        finally:
            await control.stop()
            await metrics.stop()

    async def _until_ended(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._stop, f"signal {number.name}")
        name = f"function {self._settings.fqiid}"
        threading.Thread(target=self._run_instance, name=name, daemon=True).start()
        self._asked()
        obeying = self._loop.create_task(self._obey())
        try:
            return await self._ended
        finally:
            obeying.cancel()

    def _run_instance(self) -> None:
        code = 1
        try:
            self._instance.run()
            code = 0
        except BootError as error:
            report_boot_error(error, self._link)
            code = EXIT_BOOT_FAILED
        except FunctionExitError as error:
            self._logger.error("%s: the instance ends", error)  # noqa: TRY400 - the traceback was logged with the message
            code = error.code
        except Exception:
            self._logger.exception("the instance ends")
        finally:
            self._loop.call_soon_threadsafe(self._ended.set_result, code)

    def _notify(self, event: str, fields: dict[str, object]) -> None:
        if event == "ready":
            self._logger.info("%s is subscribed and ready", self._settings.fqiid)
            self._loop.call_soon_threadsafe(self._serving.set, True)  # noqa: FBT003
        if self._link is not None:
            self._link.tell(event, fields)

    def _stop(self, why: str) -> None:
        self._logger.info("stopping: %s", why)
        self._serving.set(False)
        self._instance.stop()

    async def _obey(self) -> None:
        if self._link is not None:
            commands: dict[str, Callable[[Command], None]] = {
                "reopen-log": lambda _: self._reopen_log(),
                "subscribe": lambda _: self._instance.subscribe(),
                "ping": lambda _: self._pong(),
                "log-level": self._set_log_level,
            }
            await self._link.obey(commands)
            self._stop("the supervisor is gone")

    def _set_log_level(self, command: Command) -> None:
        self._log_level.set(str(command["level"]), command.get("seconds"), self._loop.call_later)

    def _pong(self) -> None:
        """Tell the supervisor that this loop still turns."""
        self._notify("pong", {})

    def _asked(self) -> None:
        """Give a foreign supervisor, which asks at a known interval, three of them until it counts as gone."""
        if self._link is not None or self._options.health_check_interval <= 0:
            return
        patience = self._options.health_check_interval * _WATCHDOG_INTERVALS
        if self._watchdog is not None:
            self._watchdog.cancel()
        why = f"no health check for {patience} s: the worker is gone"
        self._watchdog = self._loop.call_later(patience, self._stop, why)


def report_boot_error(error: BootError, link: SupervisorLink | None) -> None:
    """Log what no retry mends, and tell the supervisor."""
    logging.getLogger().error("the instance can't start: %s\n%s", error.reason, "\n".join(error.traceback))
    if link is not None:
        link.tell("failed", {"reason": error.reason, "traceback": list(error.traceback)})
