"""Looks at what a config needs: ports, directories, a Pulsar that answers."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from magnetar.cli.doctor.findings import Finding, Verdict
from magnetar.errors import RefusedError
from magnetar.java.installation import cache_directory, find_installation
from magnetar.java.version import show_version

if TYPE_CHECKING:
    from magnetar.config import WorkerConfig

_LOCK = "worker.lock"
_PATIENCE = 3
_LEAST_SPACE = 256 * 2**20


def look_at_ports(config: "WorkerConfig") -> Iterator[Finding]:
    """Judge whether the ports of a config can be listened on."""
    own = config.magnetar
    host = own.bind_address
    ports = [("magnetar.healthPort", host, own.health_port), ("magnetar.metricsPort", host, own.metrics_port)]
    if config.plain_http:
        ports.insert(0, ("workerPort", host, config.worker_port))
    if config.tls_enabled:
        ports.insert(0, ("workerPortTls", host, config.worker_port_tls or 0))
    if own.embedded_broker:
        broker = own.embedded_broker
        key = "brokerServicePortTls" if broker.tls else "port"
        ports += [(f"magnetar.embeddedBroker.{key}", broker.host, broker.ports[0])]
    return (_look_at_port(setting, host, port) for setting, host, port in ports)


def _look_at_port(setting: str, host: str, port: int) -> Finding:
    if port == 0:
        return Finding(setting, Verdict.OK, "any free port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            user = _listener(port) if error.errno == errno.EADDRINUSE else ""
            detail = f"{host}:{port}: {error.strerror}{user}"
            return Finding(
                setting, Verdict.FAILURE, detail, "end that program, or choose another port; 0 is any free one"
            )
    return Finding(setting, Verdict.OK, f"{host}:{port} is free")


def _listener(port: int) -> str:
    """Return which process listens on a port, as far as it can be seen."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for each in connections:
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
            try:
                return f" (process {each.pid}, {psutil.Process(each.pid).name()})"
            except psutil.NoSuchProcess:
                return ""
    return ""


def look_at_directories(config: "WorkerConfig") -> Iterator[Finding]:
    """Judge whether the directories of a config can be written, and who owns the data."""
    yield _look_at_data(config.magnetar.data_directory)
    yield _writable("downloadDirectory", config.download_directory)
    yield _writable("logDirectory", config.process_runtime.log_directory)


def look_at_space(config: "WorkerConfig", least: int = _LEAST_SPACE) -> Iterator[Finding]:
    """Judge the space that is left where a config keeps data, packages and logs: without any, log lines are lost."""
    for setting, directory in (
        ("magnetar.dataDirectory", config.magnetar.data_directory),
        ("downloadDirectory", config.download_directory),
        ("logDirectory", config.process_runtime.log_directory),
    ):
        try:
            free = shutil.disk_usage(_nearest(directory)).free
        except OSError:
            continue  # that it can't be reached is told of the directory itself
        if free < least:
            yield Finding(
                f"space of {setting}",
                Verdict.WARNING,
                f"{directory}: {free >> 20} MiB are left",
                "make room: without any, log lines are lost, and messages and packages are refused",
            )


def _look_at_data(directory: Path) -> Finding:
    lock = directory / _LOCK
    if not lock.exists():
        return _writable("magnetar.dataDirectory", directory)
    try:
        with lock.open("rb+") as file:
            owner = file.read(32).decode(errors="replace").strip()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        remedy = "end it before another is started here, or give the other one a directory of its own"
        return Finding("magnetar.dataDirectory", Verdict.WARNING, f"{directory}: process {owner} runs on it", remedy)
    except OSError as error:
        return Finding("magnetar.dataDirectory", Verdict.FAILURE, f"{lock}: {error.strerror}", "let this user write it")
    detail = f"{directory}: left by process {owner}, which has ended" if owner else str(directory)
    return Finding("magnetar.dataDirectory", Verdict.OK, detail)


def _writable(setting: str, directory: Path) -> Finding:
    """Judge a directory, or where there is none the nearest parent, in which it would be made."""
    nearest = _nearest(directory)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(
            setting, Verdict.FAILURE, f"{nearest} can't be written", "choose another, or let this user write it"
        )
    made = "" if nearest == directory.absolute() else " (would be made)"
    return Finding(setting, Verdict.OK, f"{directory}{made}")


def _nearest(directory: Path) -> Path:
    """Return a directory, or the nearest parent that is there."""
    nearest = directory.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    return nearest


def look_at_java_instance(config: "WorkerConfig") -> Finding:
    """Look for what Java functions run in; that it is not there is no fault."""
    process = config.process_runtime
    try:
        found = find_installation(
            process.java_instance_jar_location, process.function_instance_class_path, cache_directory()
        )
    except RefusedError as error:
        what, _, remedy = str(error).partition(": ")
        return Finding("java instance", Verdict.NOTE, what, remedy)
    return Finding("java instance", Verdict.OK, f"{show_version(found.version)} at {found.jar}")


def look_at_pulsar(config: "WorkerConfig") -> Iterator[Finding]:
    """Judge whether the Pulsar that a config names answers, unless the worker brings its own."""
    if config.magnetar.embedded_broker:
        return
    for setting, url in (
        ("pulsarServiceUrl", config.pulsar_service_url),
        ("pulsarWebServiceUrl", config.pulsar_web_service_url),
    ):
        yield _look_at_address(setting, url)


def _look_at_address(setting: str, url: str) -> Finding:
    parts = urlsplit(url.partition(",")[0])
    defaults = {"http": 80, "https": 443, "pulsar": 6650, "pulsar+ssl": 6651}
    try:
        address = (parts.hostname or "", parts.port or defaults.get(parts.scheme, 0))
        socket.create_connection(address, timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        return Finding(setting, Verdict.FAILURE, f"{url}: {error}", f"start Pulsar, or correct {setting}")
    return Finding(setting, Verdict.OK, f"{url} answers")
