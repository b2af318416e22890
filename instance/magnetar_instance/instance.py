"""One function instance, whatever hosts it: a process, or a thread of the worker."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pulsar

from magnetar_instance.assembly import AnyRunner, assemble
from magnetar_instance.client import connect, reach
from magnetar_instance.errors import BeginAnewError
from magnetar_instance.figures import Figures
from magnetar_instance.functions import UserFunction
from magnetar_instance.log_topic import LogTopic
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.windowing import unwrapped

_PAUSES = (0.0, 0.1, 1.0, 5.0, 15.0)
"""Between beginnings; forgotten once one went well for so long."""
_STEADY_SECONDS = 60.0

Notify = Callable[[str, dict[str, object]], None]


class Instance:
    """Runs one instance in the thread that calls `run`; everything else may be called from any thread.

    One that `waits` loads its code, reaches the broker, tells `prepared`, and subscribes when `subscribe` was called.
    """

    def __init__(
        self,
        settings: InstanceSettings,
        *,
        load: Callable[[InstanceSettings], UserFunction],
        logger: logging.Logger,
        notify: Notify,
        waits: bool = False,
    ) -> None:
        settings = self._settings = unwrapped(settings)
        self._load = load
        self._logger = logger
        self._notify = notify
        self._figures = Figures(settings)
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        """Held by who closes something of the client: it loses count when two do so at a time."""
        self._client: pulsar.Client | None = None
        self._runner: AnyRunner | None = None
        self._ending = threading.Event()
        self._ended = self._ready = False
        self._permitted = threading.Event()
        if not waits:
            self._permitted.set()

    def run(self) -> None:
        """Load, connect, subscribe and process until stopped; closes everything.

        Raises BootError for what no retry mends, FunctionExitError when the function called sys.exit, and
        PulsarException when the broker can't be had.
        """
        try:
            function = self._load(self._settings)
            try:
                self._connected(function)
            finally:
                function.close()
        finally:
            self._ended = True

    def _connected(self, function: UserFunction) -> None:
        pauses: tuple[float, ...] = _PAUSES
        while True:
            began = time.monotonic()
            try:
                self._once(function)
            except BeginAnewError as error:
                self._logger.error("%s: beginning anew", error)  # noqa: TRY400 - where it comes from says nothing
                self._figures.system_failed(str(error), "BeginAnew")
            else:
                return
            pause, *rest = pauses if time.monotonic() - began < _STEADY_SECONDS else _PAUSES
            pauses = tuple(rest) or (pause,)
            if self._ending.wait(pause):
                return

    def _once(self, function: UserFunction) -> None:
        """Connect, subscribe and process until stopped, or until all that can help is to begin anew."""
        client = connect(self._settings)
        with self._lock:
            self._client = client
        try:
            with self._log_topic(client):
                self._wait_to_subscribe(client)
                self._subscribed(client, function)
        finally:
            self._close_client()

    def _wait_to_subscribe(self, client: pulsar.Client) -> None:
        if self._permitted.is_set():
            return
        try:
            reach(client, self._settings)
        except pulsar.PulsarException:
            if not self._ending.is_set():
                raise
        self._notify("prepared", {})
        self._permitted.wait()

    @contextlib.contextmanager
    def _log_topic(self, client: pulsar.Client) -> Iterator[None]:
        if not self._settings.details.logTopic:
            yield
            return
        handler = LogTopic(client, self._settings, self._figures.log_dropped)
        self._logger.addHandler(handler)
        try:
            yield
        finally:
            self._logger.removeHandler(handler)
            handler.close()

    def _subscribed(self, client: pulsar.Client, function: UserFunction) -> None:
        if self._ending.is_set():
            return
        try:
            assembly = assemble(client, self._settings, function, self._figures, self._logger, self._tell_progress)
        except pulsar.PulsarException:
            if self._ending.is_set():
                return
            raise
        with self._lock:
            self._runner = assembly.runner
            stopping = self._ending.is_set()
        try:
            if not stopping:
                self._tell_ready()
                assembly.runner.run()
        finally:
            with self._lock:
                self._runner = None
            with self._closing:
                assembly.close()

    def _tell_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._notify("ready", {})

    def _tell_progress(self, received: int, came_back: int) -> None:
        self._notify("progress", {"received": received, "processed": came_back})

    def subscribe(self) -> None:
        """Let an instance that waits subscribe."""
        self._permitted.set()

    def stop(self) -> None:
        """Finish what is in flight; `run` returns soon after, but for a function that does not come back.

        One that is not subscribed yet, because the broker is away for example, has nothing to finish.
        """
        with self._lock:
            self._ending.set()
            runner, client = self._runner, self._client
        self._permitted.set()
        if runner is not None:
            runner.stop()
        elif client is not None:
            threading.Thread(target=self.close_client, name=f"closing {self._settings.fqiid}", daemon=True).start()

    def close_client(self) -> None:
        """Close the client, under a function that is stuck if need be: no successor meets its subscription."""
        with self._lock:
            self._ending.set()
            runner = self._runner
        self._permitted.set()
        if runner is not None:
            runner.abandon()
        self._close_client()

    def _close_client(self) -> None:
        """Close the client, or wait until whoever came first has."""
        with self._closing:
            with self._lock:
                client, self._client = self._client, None
            if client is not None:
                client.close()

    def status(self) -> FunctionStatus:
        """Return Pulsar's status, at once."""
        status = self._figures.status()
        status.running = not self._ended
        return status

    def metrics(self) -> MetricsData:
        """Return Pulsar's metrics, at once."""
        return self._figures.metrics()

    def reset_metrics(self) -> None:
        """Reset the minute's figures and the function's own metrics."""
        self._figures.reset()

    def metrics_text(self) -> bytes:
        """Return the Prometheus text of this instance alone."""
        from magnetar_instance.exposition import exposition  # noqa: PLC0415 - 40 ms that only a scrape needs

        return exposition(self._figures)
