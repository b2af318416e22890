"""The main job on real input: `magnetar standalone`, two of the examples, messages through the official client."""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pulsar
import yaml
from rich.console import Console
from rich.table import Table

EXAMPLES = Path(__file__).parent.parent / "examples"
LINES = ("hello", "the quick brown fox", "magnetars are neutron stars")
DEADLINE = 30


@dataclass(frozen=True)
class Example:
    """One function of the examples and the runtime that it is shown in."""

    folder: str
    runtime: str

    def config(self) -> dict[str, Any]:
        """Return its config with the runtime chosen."""
        config: dict[str, Any] = yaml.safe_load((EXAMPLES / self.folder / "function.yml").read_text())
        return config | {"customRuntimeOptions": json.dumps({"magnetar": {"runtime": self.runtime}})}

    def package(self) -> Path:
        """Return its code."""
        return EXAMPLES / self.folder / Path(self.config()["py"]).name


SHOWN = (Example("exclamation", "thread"), Example("wordcount", "process"))


def main() -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(description="Shows the main job: a worker, two functions, messages in and out.")
    parser.add_argument("--once", action="store_true", help="stop after the results")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="magnetar-demo-") as folder, standalone(Path(folder)) as addresses:
        show(addresses, Path(folder), console)
        if not options.once:
            console.print("\nServing until Ctrl-C.")
            wait_for_interrupt()
    return 0


@contextmanager
def standalone(folder: Path) -> Iterator[dict[str, Any]]:
    """Run `magnetar standalone` on free ports while the context is open; gives the addresses of its ready line."""
    began = time.monotonic()
    command = ["magnetar", "standalone", "--data-dir", str(folder / "data"), "--format", "json"]
    for port in ("--http-port", "--broker-port", "--health-port", "--metrics-port"):
        command += [port, "0"]
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            sys.exit(f"magnetar standalone did not start:\n{(folder / 'worker.log').read_text()}")
        print(f"$ {' '.join(command)}\nready after {time.monotonic() - began:.2f} s")
        yield json.loads(line)
    finally:
        process.terminate()
        code = process.wait(DEADLINE)
        print(f"stopped with exit code {code}")


def show(addresses: dict[str, Any], folder: Path, console: Console) -> None:
    """Deploy the examples, send the lines through each and print what came out."""
    client = pulsar.Client(addresses["broker"], logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    with httpx.Client(base_url=addresses["http"], timeout=DEADLINE) as http:
        for example in SHOWN:
            console.print(in_and_out(example, http, client))
        client.close()
        known = http.get("/magnetar/v1/instances").raise_for_status().json()
    console.print(states(known))
    logs = {f"log of {each['fqfn']}:{each['instanceId']}": each["logFile"] for each in known}
    tell({**addresses, **logs, "log of the worker": str(folder / "worker.log")}, console)


def in_and_out(example: Example, http: httpx.Client, client: pulsar.Client) -> Table:
    """Create a function, send the lines and return them beside its output."""
    config = example.config()
    [topic] = config["inputs"]
    table = Table("input", "output", title=f"{config['name']} ({example.runtime} runtime)", title_justify="left")
    consumer = client.subscribe(config["output"], "demo")
    producer = client.create_producer(topic)
    began = time.monotonic()
    create(http, example, config)
    for number, line in enumerate(LINES):
        producer.send(line.encode())
        message = consumer.receive(DEADLINE * 1000)
        consumer.acknowledge(message)
        table.add_row(line, message.data().decode())
        if number == 0:
            table.caption = f"create to first output: {(time.monotonic() - began) * 1000:.0f} ms"
    producer.close()
    consumer.close()
    return table


def create(http: httpx.Client, example: Example, config: dict[str, Any]) -> None:
    """Upload a function as pulsar-admin does."""
    path = f"/admin/v3/functions/public/default/{config['name']}"
    with example.package().open("rb") as code:
        answer = http.post(
            path,
            files={
                "functionConfig": (None, json.dumps(config), "application/json"),
                "data": (example.package().name, code, "application/octet-stream"),
            },
        )
    if answer.is_error:
        sys.exit(f"{config['name']} was refused: {answer.text}")


def states(known: list[dict[str, Any]]) -> Table:
    """Return what the worker says of its instances."""
    columns = ("fqfn", "instanceId", "runtime", "phase", "pid", "restarts")
    table = Table(*columns, title="Instances", title_justify="left")
    for each in known:
        table.add_row(*(str(each[column]) for column in columns))
    return table


def tell(where: dict[str, Any], console: Console) -> None:
    """Print where everything is, unbroken, so that it can be copied."""
    width = max(map(len, where)) + 2
    for name, place in where.items():
        console.print(f"{name:<{width}}{place}", soft_wrap=True, highlight=False)


def wait_for_interrupt() -> None:
    """Return at the first Ctrl-C."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
