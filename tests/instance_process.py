"""Instances as real processes, for tests: by exec of the launcher, or forked by a zygote."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pulsar
from google.protobuf import json_format
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.proto.function import ATLEAST_ONCE, FunctionDetails, SinkSpec, SourceSpec

LAUNCHER = Path(__file__).parents[1] / "instance/magnetar_instance/launcher/python_instance_main.py"
DEADLINE = 30.0


def unique(kind: str) -> str:
    """A topic that no other test uses."""
    return f"persistent://public/default/{kind}-{uuid.uuid4().hex[:12]}"


def details(class_name: str, inputs: list[str], output: str = "", **fields: Any) -> FunctionDetails:
    """The details of a function that starts at the beginning of its inputs."""
    source = SourceSpec(subscriptionPosition="EARLIEST")
    for topic in inputs:
        source.inputSpecs[topic].SetInParent()
    return FunctionDetails(
        tenant="public",
        namespace="default",
        name=fields.pop("name", f"f{uuid.uuid4().hex[:8]}"),
        className=class_name,
        runtime="PYTHON",
        autoAck=fields.pop("autoAck", True),
        parallelism=1,
        processingGuarantees=fields.pop("processingGuarantees", ATLEAST_ONCE),
        source=source,
        sink=SinkSpec(topic=output),
        **fields,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class InstanceProcess:
    """One running instance; `events` are what it told its supervisor."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log_file: Path
    channel: socket.socket | None
    events: list[dict[str, Any]] = field(default_factory=list)
    _buffer: bytes = b""

    def wait_event(self, name: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event of this name with these fields."""
        assert self.channel is not None
        while True:
            for event in self.events:
                if event["event"] == name and fields.items() <= event.items():
                    return event
            chunk = self.channel.recv(65536)
            assert chunk, f"the instance ended before it told {name!r}: {self.log()}"
            *lines, self._buffer = (self._buffer + chunk).split(b"\n")
            self.events += [json.loads(line) for line in lines]

    def command(self, name: str) -> None:
        assert self.channel is not None
        self.channel.sendall(json.dumps({"command": name}).encode() + b"\n")

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def status(self) -> Any:
        return self._ask("GetFunctionStatus", FunctionStatus)

    def metrics(self) -> Any:
        return self._ask("GetMetrics", MetricsData)

    def _ask(self, method: str, answer: Any) -> Any:
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            call = channel.unary_unary(f"/proto.InstanceControl/{method}", lambda _: b"", answer.FromString)
            return call(b"", timeout=2 * DEADLINE, wait_for_ready=True)

    def metrics_text(self, **headers: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.metrics_port}/", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(response.read().decode())

    def until(self, condition: Callable[[Any], bool]) -> Any:
        """Ask for the status until it is as wanted."""
        return until(self.status, condition)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)


def until(ask: Callable[[], Any], condition: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted, or fail with the last answer."""
    ends = time.monotonic() + DEADLINE
    while not condition(answer := ask()):
        assert time.monotonic() < ends, answer
    return answer


@contextlib.contextmanager
def running(
    details: FunctionDetails,
    code: Path,
    service_url: str,
    *,
    logs: Path,
    supervised: bool = True,
    ready: bool = True,
    instance_id: int = 0,
    flags: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
) -> Iterator[InstanceProcess]:
    """Run an instance by exec while the context is open; killed at its end."""
    port, metrics_port = free_port(), free_port()
    arguments = command_line(details, code, service_url, port, metrics_port, logs, instance_id)
    ours, theirs = socket.socketpair()
    env = {**os.environ, **(environment or {})}
    if supervised:
        env["MAGNETAR_SUPERVISOR_FD"] = str(theirs.fileno())
    process = subprocess.Popen(
        [sys.executable, str(LAUNCHER), *arguments, *flags],
        env=env,
        pass_fds=[theirs.fileno()] if supervised else [],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    ours.settimeout(DEADLINE)
    log_file = logs / details.tenant / details.namespace / details.name / f"{details.name}-{instance_id}.log"
    running = InstanceProcess(process, port, metrics_port, log_file, ours if supervised else None)
    try:
        if supervised and ready:
            running.wait_event("ready")
        yield running
    finally:
        process.kill()
        process.wait()
        ours.close()


def command_line(
    details: FunctionDetails, code: Path, service_url: str, port: int, metrics_port: int, logs: Path, instance_id: int
) -> list[str]:
    """The arguments that Pulsar's worker gives."""
    values = {
        "py": code,
        "logging_directory": logs,
        "logging_file": details.name,
        "logging_config_file": logs / "none.ini",
        "instance_id": instance_id,
        "function_id": uuid.uuid4(),
        "function_version": uuid.uuid4(),
        "function_details": f"'{json_format.MessageToJson(details, indent=None)}'",
        "pulsar_serviceurl": service_url,
        "max_buffered_tuples": 1024,
        "port": port,
        "metrics_port": metrics_port,
        "expected_healthcheck_interval": 30,
        "secrets_provider": "secretsprovider.ClearTextSecretsProvider",
        "cluster_name": "test",
    }
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def produce(client: pulsar.Client, topic: str, payloads: list[bytes]) -> None:
    """Send messages and wait until they are stored."""
    producer = client.create_producer(topic, batching_enabled=True, block_if_queue_full=True)
    for payload in payloads:
        producer.send_async(payload, None)
    producer.flush()
    producer.close()


def collect(client: pulsar.Client, topic: str, count: int) -> list[pulsar.Message]:
    """The first messages of a topic."""
    consumer = client.subscribe(topic, f"test-{uuid.uuid4().hex}", initial_position=pulsar.InitialPosition.Earliest)
    messages = [consumer.receive(int(DEADLINE * 1000)) for _ in range(count)]
    consumer.close()
    return messages
