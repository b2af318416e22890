"""Making a class data archive: a real instance is run once against a broker of its own, and its JVM notes what it loads."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pulsar
from magnetar_instance.proto.function import ConsumerSpec, FunctionDetails, Resources, SinkSpec, SourceSpec

from magnetar.java.archive import OLDEST_RELEASE, archive_path
from magnetar.java.installation import JavaInstallation
from magnetar.java.version import java_release
from magnetar.processes.ports import Ports
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.java import JavaLanguage, JavaSettings
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.settings import ProcessSettings

_STRING = "java.lang.String"
_IDENTITY = "org.apache.pulsar.functions.api.utils.IdentityFunction"
"""A function inside the instance jar itself: what comes in goes out."""
_DEADLINE_MS = 60_000
_END_DEADLINE = 120.0


class ArchiveError(Exception):
    """Raised when no archive could be made; the message is the last that the JVM said."""


def make_archive(installation: JavaInstallation, java: Path, cache: Path) -> Path | None:
    """Make the archive of an installation; None where this Java is too old for one. Takes some ten seconds.

    Raises ArchiveError.
    """
    release = java_release(java)
    if release is not None and release < OLDEST_RELEASE:
        return None
    path = archive_path(installation, java, cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="magnetar-archive-") as name, _broker(Path(name)) as url:
        partial = Path(name) / "partial.jsa"
        _train(_launch(installation, java, Path(name), url, f"-XX:ArchiveClassesAtExit={partial}"), url)
        if not partial.is_file():
            raise ArchiveError("the JVM wrote no archive")
        target = path.with_suffix(f".{os.getpid()}")
        target.write_bytes(partial.read_bytes())
        target.replace(path)
    return path


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "magnetar_broker", "--data-dir", str(folder / "broker"), "--format", "json"]
    command += ["--port", "0", "--admin-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise ArchiveError("the embedded broker did not start: its message is on standard error")
            yield json.loads(line)["broker"]
        finally:
            process.terminate()


def _launch(installation: JavaInstallation, java: Path, folder: Path, url: str, flag: str) -> Launch:
    settings = ProcessSettings(url, "archive", folder, os.environ, health_check_interval=-1)
    known: Callable[[], Path] = lambda: java  # noqa: E731 - a name for a value that is asked for
    language = JavaLanguage(
        settings,
        # A JVM writes no archive while an agent is there.
        JavaSettings(
            lambda: installation,
            known,
            java_release,
            lambda _: None,
            additional_arguments=(flag,),
            timed_output=False,
        ),
    )
    details = FunctionDetails(
        tenant="public",
        namespace="default",
        name="archive",
        className=_IDENTITY,
        autoAck=True,
        source=SourceSpec(inputSpecs={_topic("in"): ConsumerSpec()}, typeClassName=_STRING),
        sink=SinkSpec(topic=_topic("out"), typeClassName=_STRING),
        resources=Resources(ram=2**28),
    )
    spec = InstanceSpec(details, 0, installation.jar, "archive", "archive")
    port, metrics_port = Ports().take(2)
    return language.launch(spec, Place(installation.jar, port, metrics_port, folder / "archive-0.log"))


def _topic(name: str) -> str:
    return f"persistent://public/default/{name}"


def _train(launch: Launch, url: str) -> None:
    """Let a message go through the instance, then end it politely: the archive is written at its exit."""
    with (
        launch.output.open("wb") as output,
        subprocess.Popen(launch.argv, env=dict(launch.environment), stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        try:
            consumer = client.subscribe(_topic("out"), "archive")
            client.subscribe(_topic("in"), "public/default/archive").close()
            client.create_producer(_topic("in")).send(b"one message")
            consumer.receive(_DEADLINE_MS)
            process.send_signal(signal.SIGTERM)
            process.wait(_END_DEADLINE)
        except (pulsar.Timeout, subprocess.TimeoutExpired) as error:
            said = launch.output.read_text(errors="replace").strip().splitlines()
            raise ArchiveError(f"the instance did not answer: {' '.join(said[-3:])}") from error
        finally:
            client.close()
            process.kill()
