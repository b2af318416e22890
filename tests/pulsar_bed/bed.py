"""A real Pulsar on this machine: the fixtures `real_pulsar` (a broker alone) and `pulsar_standalone` (start and stop it).

`python tests/pulsar_bed/bed.py` sets it up once and prints where; PULSAR_TEST_HOME names a set-up made elsewhere.
"""

import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).resolve().parent
START_LIMIT = 180
_OPENED = (
    "java.base/java.io java.base/java.util.zip java.base/java.nio java.base/jdk.internal.misc java.base/java.lang "
    "java.base/jdk.internal.platform java.base/sun.net java.management/sun.management "
    "jdk.management/com.sun.management.internal"
)
_MEMORY = ("-Xms256m", "-Xmx1g", "-XX:MaxDirectMemorySize=2g")


def home() -> Path:
    """Return where the set-up is, or is to be."""
    if named := os.environ.get("PULSAR_TEST_HOME"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pulsar-bed" / hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:12]


def found() -> bool:
    """Whether it can be run: Java and the set-up are here, or it must be and Maven is here to make it."""
    wanted = "pulsar" in os.environ.get("MAGNETAR_REQUIRE", "").split(",")
    made = (home() / "lib").is_dir() or (wanted and shutil.which("mvn") is not None)
    return made and shutil.which("java") is not None


def requires_pulsar() -> pytest.MarkDecorator:
    """Return the mark of tests on a real Pulsar."""
    from requirements import requires

    return requires("pulsar", found)


def set_up() -> Path:
    """Fetch what it is made of, once for all runs at a time; returns its home."""
    target = home()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "lib").is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent) as made:
                _fetch(Path(made) / "home")
                (Path(made) / "home").rename(target)
    return target


def _fetch(target: Path) -> None:
    target.mkdir()
    maven = ["mvn", "-B", "-q", "-ntp", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    subprocess.run([*maven, f"-DoutputDirectory={target}/lib", "-DincludeScope=runtime"], check=True)
    others = "pulsar-functions-runtime-all,pulsar-functions-api-examples"
    scope = ["-DincludeScope=provided", f"-DincludeArtifactIds={others}", "-Dmdep.stripVersion=true"]
    subprocess.run([*maven, f"-DoutputDirectory={target}/provided", *scope], check=True)
    for folder, name, jar in (
        ("instances", "java-instance.jar", "pulsar-functions-runtime-all.jar"),
        ("examples", "api-examples.jar", "pulsar-functions-api-examples.jar"),
    ):
        (target / folder).mkdir()
        (target / "provided" / jar).rename(target / folder / name)


@dataclass(frozen=True)
class Addresses:
    """Where a Pulsar is."""

    service_url: str
    admin_url: str


class Standalone:
    """One Pulsar on a data directory of its own: it can be stopped and started again, with its own worker or without.

    As a standalone is shipped it receipts what is not on disk yet; with `synced` it syncs its journal first.
    """

    def __init__(self, pulsar_home: Path, directory: Path, *, synced: bool = False) -> None:
        self.home = pulsar_home
        self.directory = directory
        self._synced = synced
        ports = _free_ports(5)
        self.broker_port, self.web_port, self._bookie_port, self._stream_port, self._zookeeper_port = ports
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("conf", "data", "logs", "download"):
            (directory / folder).mkdir(parents=True, exist_ok=True)

    @property
    def addresses(self) -> Addresses:
        return Addresses(f"pulsar://127.0.0.1:{self.broker_port}", f"http://127.0.0.1:{self.web_port}")

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, worker: bool) -> None:
        """Start it and wait until it answers."""
        self._write_configs(worker)
        log = (self.directory / "standalone.log").open("ab")
        # ZooKeeper keeps the metadata: with RocksDB the standalone insists on its package management.
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # the worker runs `python3`
            "PULSAR_HOME": str(self.directory),
            "PULSAR_STANDALONE_USE_ZOOKEEPER": "1",
        }
        with log:
            self._process = subprocess.Popen(
                self._command(worker), cwd=self.directory, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        path = "/admin/v3/functions/public/default" if worker else "/admin/v2/namespaces/public/default"
        try:
            self._wait_for(path)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_for(self, path: str) -> None:
        limit = time.monotonic() + START_LIMIT
        with httpx.Client(base_url=self.addresses.admin_url, timeout=5) as http:
            while time.monotonic() < limit:
                assert self._process is not None
                assert self._process.poll() is None, (self.directory / "standalone.log").read_text()[-5000:]
                with contextlib.suppress(httpx.TransportError):
                    if http.get(path).is_success:
                        return
                time.sleep(0.2)
        raise AssertionError((self.directory / "standalone.log").read_text()[-5000:])

    def _command(self, worker: bool) -> list[str]:
        here, conf = self.directory, self.directory / "conf"
        classes = f"{conf}:{self.home}/lib/*"
        instance = f"{self.home}/instances/java-instance.jar"
        properties = {
            "log4j.configurationFile": f"{conf}/log4j2.xml",
            "log4j2.is.webapp": "false",
            "java.net.preferIPv4Stack": "true",
            "io.netty.tryReflectionSetAccessible": "true",
            "zookeeper.admin.enableServer": "false",
            "bookkeeper.metadata.bookie.drivers": "org.apache.pulsar.metadata.bookkeeper.PulsarMetadataBookieDriver",
            "bookkeeper.metadata.client.drivers": "org.apache.pulsar.metadata.bookkeeper.PulsarMetadataClientDriver",
            "pulsar.functions.process.container.log.dir": f"{here}/logs",
            "pulsar.functions.java.instance.jar": instance,
            "pulsar.functions.extra.dependencies.dir": f"{here}/dependencies",
            "pulsar.functions.instance.classpath": classes,
            "pulsar.config.file": f"{conf}/standalone.conf",
        }
        opened = [word for name in _OPENED.split() for word in ("--add-opens", f"{name}=ALL-UNNAMED")]
        options = {
            "config": f"{conf}/standalone.conf",
            "functions-worker-conf": f"{conf}/functions_worker.yml",
            "advertised-address": "127.0.0.1",
            "zookeeper-dir": f"{here}/data/zookeeper",
            "zookeeper-port": str(self._zookeeper_port),
            "bookkeeper-dir": f"{here}/data/bookkeeper",
            "bookkeeper-port": str(self._bookie_port),
            "stream-storage-port": str(self._stream_port),
        }
        return [
            *("java", "-cp", classes, *_MEMORY, *opened),
            *(f"-D{name}={value}" for name, value in properties.items()),
            "org.apache.pulsar.PulsarStandaloneStarter",
            *(word for name, value in options.items() for word in (f"--{name}", value)),
            *(() if worker else ("--no-functions-worker",)),
        ]

    def _write_configs(self, worker: bool) -> None:
        conf = self.directory / "conf"
        (conf / "standalone.conf").write_text(
            "clusterName=standalone\nadvertisedAddress=localhost\nbindAddress=127.0.0.1\nallowLoopback=true\n"
            f"brokerServicePort={self.broker_port}\nwebServicePort={self.web_port}\n"
            f"functionsWorkerEnabled={str(worker).lower()}\n"
            "managedLedgerDefaultEnsembleSize=1\nmanagedLedgerDefaultWriteQuorum=1\nmanagedLedgerDefaultAckQuorum=1\n"
            "brokerDeleteInactiveTopicsEnabled=false\nloadBalancerEnabled=false\nnumHttpServerThreads=8\n"
            f"journalSyncData={str(self._synced).lower()}\njournalMaxGroupWaitMSec=1\n"
            "diskUsageThreshold=0.99\ndiskUsageWarnThreshold=0.99\n"
            "ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage\n"
            f"enablePackagesManagement={str(not worker).lower()}\nfunctionsWorkerEnablePackageManagement=false\n"
            "packagesManagementStorageProvider="
            "org.apache.pulsar.packages.management.storage.filesystem.FileSystemPackagesStorageProvider\n"
            f"STORAGE_PATH={self.directory}/data/packages\n"
        )
        factory = "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory"
        (conf / "functions_worker.yml").write_text(
            "pulsarFunctionsCluster: standalone\nnumFunctionPackageReplicas: 1\n"
            "pulsarFunctionsNamespace: public/functions\nfunctionMetadataTopicName: metadata\n"
            "clusterCoordinationTopicName: coordinate\nfunctionAssignmentTopicName: assignments\n"
            "schedulerClassName: org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler\n"
            "failureCheckFreqMs: 1000\nrescheduleTimeoutMs: 2000\nrebalanceCheckFreqSec: -1\n"
            "initialBrokerReconnectMaxRetries: 60\nassignmentWriteMaxRetries: 60\ninstanceLivenessCheckFreqMs: 30000\n"
            f"topicCompactionFrequencySec: 1800\ndownloadDirectory: {self.directory}/download\n"
            f"functionRuntimeFactoryClassName: {factory}\nfunctionRuntimeFactoryConfigs:\n  logDirectory: logs\n"
            f"  pythonInstanceLocation: {_python_instance()}\n"
        )
        (conf / "log4j2.xml").write_text(
            '<Configuration status="WARN"><Appenders><Console name="out"><PatternLayout pattern="%d %-5p %c{1} - %m%n"/>'
            '</Console></Appenders><Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>'
        )


def _python_instance() -> Path:
    """Return Magnetar's own: Pulsar's is in no registry."""
    spec = find_spec("magnetar_instance")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "launcher" / "python_instance_main.py"


def _free_ports(count: int) -> list[int]:
    """Return ports below those that the kernel gives to connections: one of these would take them between two starts."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


@pytest.fixture(scope="session")
def real_pulsar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Give a broker that all tests of a session share: use a namespace of your own."""
    standalone = Standalone(set_up(), tmp_path_factory.mktemp("pulsar"))
    standalone.start(worker=False)
    try:
        yield standalone.addresses
    finally:
        standalone.stop()


@pytest.fixture
def pulsar_standalone(tmp_path: Path) -> Iterator[Standalone]:
    """Give a Pulsar that the test itself starts and stops."""
    standalone = Standalone(set_up(), tmp_path)
    try:
        yield standalone
    finally:
        standalone.stop()


if __name__ == "__main__":
    sys.stdout.write(f"{set_up()}\n")
