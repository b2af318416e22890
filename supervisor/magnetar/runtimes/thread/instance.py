"""One Python function in a thread of the worker's process."""

import asyncio
import math
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import anyio
from magnetar_instance.errors import BootError, FunctionExitError
from magnetar_instance.instance import Instance
from magnetar_instance.isolated_loading import load_isolated
from magnetar_instance.log_level import LogLevel
from magnetar_instance.logs import LogFormat
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.thread_output import FunctionOutput
from structlog.stdlib import BoundLogger

from magnetar.processes.logtail import last_lines, size_of
from magnetar.runtimes.base import BootFailed, Exit, Notice, Prepared, Progress, Ready
from magnetar.runtimes.thread.stacks import stack_of, where

_LAST_LINES = 10
_NOTICES = math.inf
_CLOSE_PATIENCE = 5.0
"""Seconds that the successor of a stuck function is held back for until the client is closed."""


class CallSoon(Protocol):
    """Runs a call on the worker's event loop, from any thread; what is called after the loop's end is dropped."""

    def __call__(self, call: Callable[..., object], *arguments: object) -> None:
        """Run it soon."""


class ThreadInstance:
    """A thread that runs one instance. Its end is told by itself; `abandoned` is called when it is given up alive.

    `clean_up` is called on the worker's loop once the thread has really ended.
    """

    grpc_port = None
    metrics_port = None
    survives = False

    def __init__(
        self,
        settings: InstanceSettings,
        log_file: Path,
        *,
        name: str,
        call_soon: CallSoon,
        abandoned: Callable[["ThreadInstance"], None],
        clean_up: Callable[[], None],
        log_format: LogFormat = "text",
        logger: BoundLogger,
        waits: bool = False,
    ) -> None:
        self.pid = os.getpid()
        self.log_file = log_file
        self._settings = settings
        self._call_soon = call_soon
        self._abandoned = abandoned
        self._clean_up = clean_up
        self._log = logger.bind(instance=settings.fqiid)
        self._said_before = size_of(log_file)
        self._output = FunctionOutput(log_file, settings.fqiid, log_format)
        self._log_level = LogLevel(self._output.logger)
        self._instance = Instance(
            settings, load=load_isolated, logger=self._output.logger, notify=self._notify, waits=waits
        )
        self._send, self._receive = anyio.create_memory_object_stream[Notice](_NOTICES)
        self._over = anyio.Event()
        self._exit = Exit()
        self._given_up = False
        self.closed = anyio.Event()
        """Set once nothing of the client is left: by the thread itself, or by whoever closed it under a stuck function."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended, given up or not."""
        return self._thread.is_alive()

    def reopen_log(self) -> None:
        """Open its log anew, after it was renamed."""
        self._output.file.reopen()

    # In the function's own thread.

    def _run(self) -> None:
        try:
            with self._output.captured():
                ended = self._run_instance()
        finally:
            self._output.close()
            self._call_soon(self._left)
        self._call_soon(self._ended, ended)

    def _run_instance(self) -> Exit:
        logger = self._output.logger
        try:
            self._instance.run()
        except BootError as error:
            logger.error("the instance can't start: %s\n%s", error.reason, "\n".join(error.traceback))  # noqa: TRY400
            self._call_soon(self._tell, BootFailed(error.reason, error.traceback))
            return Exit(reason=error.reason)
        except FunctionExitError as error:
            return Exit(code=error.code, reason=str(error) if error.code else "")
        # Whatever a function or the client raises must be told: nothing else would say that the thread has ended.
        except BaseException as error:
            logger.exception("the instance ends")
            return Exit(reason=f"{type(error).__name__}: {error}")
        return Exit(reason="the function's thread returned")

    def _notify(self, event: str, fields: dict[str, object]) -> None:
        if event == "ready":
            self._call_soon(self._tell, Ready())
        elif event == "prepared":
            self._call_soon(self._tell, Prepared())
        elif event == "progress":
            received, processed = (int(str(fields[name])) for name in ("received", "processed"))
            self._call_soon(self._tell, Progress(received, processed))

    # On the worker's loop.

    def _tell(self, notice: Notice) -> None:
        if not self._over.is_set():
            # Who stopped listening wants to hear nothing more.
            with suppress(anyio.BrokenResourceError):
                self._send.send_nowait(notice)

    def _left(self) -> None:
        self._log_level.cancel()
        self.closed.set()
        self._clean_up()

    def _ended(self, ended: Exit) -> None:
        if not self._over.is_set():
            self._exit = replace(ended, last_lines=last_lines(self.log_file, _LAST_LINES, since=self._said_before))
            self._send.close()
            self._over.set()

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance tells of itself, until it ends."""
        async with self._receive:
            async for notice in self._receive:
                yield notice

    def subscribe(self) -> None:
        """Let one that was prepared subscribe."""
        self._instance.subscribe()

    async def let_go(self) -> None:
        """Do nothing: a thread does not survive its process."""

    async def wait(self) -> Exit:
        """Wait for the end, or until the thread was given up."""
        await self._over.wait()
        return self._exit

    async def stop(self, grace: float) -> None:
        """Ask it to end; after `grace` seconds close its client from outside and give the thread up."""
        self._instance.stop()
        with anyio.move_on_after(grace):
            await self._over.wait()
            return
        await self._give_up(grace)

    async def _give_up(self, grace: float) -> None:
        """No thread can be killed: its client is closed, so that no successor meets its subscription, and it is counted."""
        if self._over.is_set():
            return
        at = self.stuck_at()
        self._close_from_outside()
        self._log.warning("The function did not return, and its thread is given up.", after=f"{grace:g} s", at=at)
        with anyio.move_on_after(_CLOSE_PATIENCE) as patience:
            await self.closed.wait()
        if patience.cancelled_caught:
            self._log.warning("The client of a thread that was given up is still being closed.")
        self._ended(Exit(reason=f"stuck in user code at {at}: its thread was given up after {grace:g} s"))

    def _close_from_outside(self) -> None:
        if not self._given_up:
            self._given_up = True
            self._abandoned(self)
            threading.Thread(target=self._close_client, name=f"{self._thread.name} closing", daemon=True).start()

    def _close_client(self) -> None:
        try:
            self._instance.close_client()
        finally:
            self._call_soon(self.closed.set)

    def stuck_at(self) -> str:
        """Return the file and line of the user's code that the thread is in."""
        return where(self._thread.ident or 0, self._settings.code.parent)

    def set_log_level(self, level: str, seconds: float | None) -> bool:
        """Set the level of the function's logger."""
        self._log_level.set(level, seconds, asyncio.get_running_loop().call_later)
        return True

    def dump_stacks(self, *, is_to_end: bool = False) -> None:
        """Write the stack of the function's thread to its log."""
        del is_to_end
        self._output.logger.error("the stack of the function's thread:\n%s", stack_of(self._thread.ident or 0))

    async def status(self) -> FunctionStatus:
        """Return its status, at once, whatever the function does."""
        return self._instance.status()

    async def metrics(self) -> MetricsData:
        """Return its figures, at once."""
        return self._instance.metrics()

    async def metrics_text(self) -> str:
        """Return its Prometheus text."""
        return self._instance.metrics_text().decode()
