"""Who takes messages from one topic to another with an exclamation mark: the loop that anyone would write, and instances."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pulsar
from instance_process import command_line, details, free_port, running
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.go import GoLanguage
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import ProcessSettings

EXCLAIM = "def process(input):\n    return input + '!'\n"
OBVIOUS = """
import sys
import pulsar
url, source, sink, subscription = sys.argv[1:]
client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
consumer = client.subscribe(source, subscription, pulsar.ConsumerType.Shared,
                            initial_position=pulsar.InitialPosition.Earliest)
producer = client.create_producer(sink, batching_enabled=True, block_if_queue_full=True, send_timeout_millis=0)
def acknowledge(message):
    return lambda result, _: consumer.acknowledge(message)
while True:
    message = consumer.receive()
    producer.send_async(message.data() + b"!", acknowledge(message))
"""
"""Receive, send with a callback, acknowledge in it."""
_LOGGING = """
[loggers]
keys=root
[handlers]
keys=stream_handler
[formatters]
keys=formatter
[logger_root]
level=ERROR
handlers=stream_handler
[handler_stream_handler]
class=StreamHandler
level=ERROR
formatter=formatter
args=(sys.stderr,)
[formatter_formatter]
format=%(message)s
"""

Contender = Callable[[str, str], AbstractContextManager[int]]
"""Runs while its context is open, from a topic to another one; gives the id of its process."""


def contenders(url: str, folder: Path, *, python: str, go: str) -> dict[str, Contender]:
    """Return who takes part by name; Pulsar's own instances where the command line of one was given."""
    (folder / "exclaim.py").write_text(EXCLAIM)
    found: dict[str, Contender] = {"obvious loop": partial(_obvious, url), "instance": partial(_instance, url, folder)}
    if python:
        found["Pulsar's Python instance"] = partial(_pulsars_python, url, folder, python.split())
    if go:
        found["Pulsar's Go instance"] = partial(_pulsars_go, url, folder, Path(go))
    return found


@contextmanager
def _process(command: Sequence[str]) -> Iterator[int]:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _obvious(url: str, source: str, sink: str) -> AbstractContextManager[int]:
    return _process([sys.executable, "-c", OBVIOUS, url, source, sink, sink.rpartition("/")[2]])


@contextmanager
def _instance(url: str, folder: Path, source: str, sink: str) -> Iterator[int]:
    with running(details("exclaim", [source], sink), folder / "exclaim.py", url, logs=folder, ready=False) as instance:
        yield instance.process.pid


def _pulsars_python(
    url: str, folder: Path, command: Sequence[str], source: str, sink: str
) -> AbstractContextManager[int]:
    (folder / "none.ini").write_text(_LOGGING)
    function = details("exclaim", [source], sink)
    ports = free_port(), free_port()
    return _process([*command, *command_line(function, folder / "exclaim.py", url, *ports, folder, 0)])


@contextmanager
def _pulsars_go(url: str, folder: Path, program: Path, source: str, sink: str) -> Iterator[int]:
    function = details("go", [source], sink)
    function.source.subscriptionName = sink.rpartition("/")[2]
    # Pulsar's library begins at the end, whatever it was told.
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    shared, earliest = pulsar.ConsumerType.Shared, pulsar.InitialPosition.Earliest
    client.subscribe(source, function.source.subscriptionName, shared, initial_position=earliest)
    client.close()
    place = Place(program, free_port(), free_port(), folder / "go.log")
    spec = InstanceSpec(function, 0, program, "bench", "bench")
    with _process(GoLanguage(ProcessSettings(url, "bench", folder, os.environ)).launch(spec, place).argv) as pid:
        yield pid
