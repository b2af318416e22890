"""A real `magnetar standalone` for tests: started on free ports, asked over REST, killed or ended."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pulsar

DEADLINE = 30.0
_PATIENCE = 120.0


class Standalone:
    """One worker process; `start` may be called again on the same directory after it ended."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.addresses: dict[str, Any] = {}
        self._arguments = arguments
        self._process: subprocess.Popen[str]
        self._http: httpx.Client | None = None
        self._client: pulsar.Client | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def http(self) -> httpx.Client:
        if self._http is None:
            self._http = httpx.Client(base_url=self.addresses["http"], timeout=DEADLINE)
        return self._http

    @property
    def client(self) -> pulsar.Client:
        if self._client is None:
            logger = pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull)
            self._client = pulsar.Client(self.addresses["broker"], logger=logger, operation_timeout_seconds=10)
        return self._client

    def start(self) -> None:
        """Start it and wait for its ready line."""
        self.launch()
        self.until_ready()

    def command(self) -> list[str]:
        command = [sys.executable, "-m", "magnetar", "standalone", "--data-dir", str(self.data), "--format", "json"]
        for option in ("--http-port", "--broker-port", "--health-port", "--metrics-port"):
            if option not in self._arguments:
                command += [option, "0"]
        return [*command, *self._arguments]

    def launch(self) -> None:
        """Start it and do not wait."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "worker.log").open("a") as log:
            self._process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True)

    def until_ready(self) -> None:
        """Wait for the ready line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log()
        self.addresses = json.loads(line)

    def log(self) -> str:
        return (self.data / "worker.log").read_text()

    def children(self) -> list[psutil.Process]:
        """Return every process below it."""
        return psutil.Process(self.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; no process of its may be left a moment later."""
        below = self.children()
        os.kill(self.pid, number)
        self.close_clients()
        code = self._process.wait(DEADLINE)
        assert self._process.stdout is not None
        self._process.stdout.close()
        _, alive = psutil.wait_procs(below, timeout=5)
        assert not alive, f"left behind: {alive}"
        return code

    def close_clients(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def create(self, name: str, code: str, config: Mapping[str, Any], *, file: str = "function.py") -> httpx.Response:
        """Create a Python function in public/default."""
        whole = {"runtime": "PYTHON", "className": "function", "subscriptionPosition": "Earliest", **config}
        parts = {"functionConfig": (None, json.dumps(whole), "application/json"), "data": (file, code.encode())}
        return self.http.post(f"/admin/v3/functions/public/default/{name}", files=parts)

    def update(self, name: str, config: Mapping[str, Any], file: str = "", content: bytes = b"") -> None:
        """Update a function in public/default, its package too where a file is named."""
        parts: dict[str, Any] = {"functionConfig": (None, json.dumps(config), "application/json")}
        if file:
            parts["data"] = (file, content)
        answer = self.http.put(f"/admin/v3/functions/public/default/{name}", files=parts, timeout=_PATIENCE)
        assert answer.status_code == 204, answer.text

    def instances(self) -> list[dict[str, Any]]:
        """Return what the worker says of its instances."""
        found: list[dict[str, Any]] = self.http.get("/magnetar/v1/instances").raise_for_status().json()
        return found


class WorkerProcess(Standalone):
    """`magnetar worker -c` on a Pulsar that is there."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "magnetar", "worker", "-c", *self._arguments, "--format", "json"]


@contextmanager
def standalone(data: Path, *arguments: str) -> Iterator[Standalone]:
    """Run one while the context is open."""
    made = Standalone(data, *arguments)
    made.start()
    try:
        yield made
    finally:
        if psutil.pid_exists(made.pid) and made._process.poll() is None:
            made.stop()


def until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again, for a worker that is away can't tell."""
    waiting = threading.Event()
    for _ in range(int(_PATIENCE / 0.05)):
        if found := condition():
            return found
        waiting.wait(0.05)
    raise AssertionError(what)


def running(worker: Standalone, count: int) -> dict[str, dict[str, Any]]:
    """Wait until so many instances run, and return them by name."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = {f"{each['fqfn']}:{each['instanceId']}": each for each in worker.instances()}
        fine = len(found) == count and all(each["phase"] == "running" for each in found.values())
        return found if fine else None

    return dict(until(look, f"{count} instances do not run: {worker.instances()}"))
