"""Programs of ours around Pulsar's Java and Go clients: built once into a cache, asked for one check at a time."""

import hashlib
import os
import selectors
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from magnetar_broker.testing import RunningBroker

_SOURCES = Path(__file__).parent / "contract"
_CACHE = Path(os.environ.get("MAGNETAR_TEST_CACHE", Path.home() / ".cache" / "magnetar-tests"))
_PATIENCE = 50.0


class ForeignClient:
    """A running program that takes a check's name on a line and answers with a line."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        self.checks = self._line().split()

    def run(self, check: str) -> str:
        """Return "ok", or what went wrong."""
        assert self._process.stdin is not None
        self._process.stdin.write(check + "\n")
        return self._line().strip()

    def _line(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE), "the client does not answer"
        line = self._process.stdout.readline()
        assert line, "the client has ended"
        return line

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def _built(language: str, build: Callable[[Path, Path], None], sources: Path | None = None) -> Path:
    """Return the folder of what `build` makes of the sources, made anew only when these have changed."""
    sources = sources or _SOURCES / language / "broker"
    digest = hashlib.sha256()
    for path in sorted(each for each in sources.rglob("*") if each.is_file()):
        digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    target = _CACHE / f"broker-{language}-{digest.hexdigest()[:16]}"
    if not target.exists():
        work = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(sources, work / "sources")
        build(work / "sources", work)
        work.rename(target)
    return target


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(["nice", *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _build_java(sources: Path, target: Path) -> None:
    goals = ("compile", "dependency:copy-dependencies", f"-DoutputDirectory={target / 'lib'}")
    _run("mvn", "-B", "-q", "-ntp", *goals, cwd=sources)
    shutil.copytree(sources / "target" / "classes", target / "classes")


def _build_go(sources: Path, target: Path) -> None:
    _run("go", "build", "-o", str(target / "check"), ".", cwd=sources)


def pulsar_admin_classpath() -> str:
    """Return the class path of the pulsar-admin command line, as Maven has it."""

    def build(sources: Path, target: Path) -> None:
        output = f"-Dmdep.outputFile={target / 'classpath'}"
        _run("mvn", "-B", "-q", "-ntp", "dependency:build-classpath", output, cwd=sources)

    return (_built("pulsar-admin", build, _SOURCES / "pulsar_admin") / "classpath").read_text()


def pulsar_admin_command(conf: Path) -> list[str]:
    """Return the command that takes lines of pulsar-admin, and answers each when it is done."""
    java = ["java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", pulsar_admin_classpath()]
    return [*java, str(_SOURCES / "pulsar_admin" / "Lines.java"), str(conf)]


def java_command(program: str, *options: str) -> list[str]:
    """Return the command that runs one of the Java programs."""
    folder = _built("java", _build_java)
    opens = ["--add-opens", "java.base/sun.net=ALL-UNNAMED"]
    return ["java", *options, *opens, "-cp", f"{folder / 'classes'}:{folder / 'lib'}/*", program]


@contextmanager
def java_client(broker: RunningBroker) -> Iterator[ForeignClient]:
    """Run the Java program against a broker."""
    options = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    client = ForeignClient([*java_command("broker.Check", *options), broker.service_url, broker.admin_url])
    try:
        yield client
    finally:
        client.close()


@contextmanager
def go_client(broker: RunningBroker) -> Iterator[ForeignClient]:
    """Run the Go program against a broker."""
    client = ForeignClient([str(_built("go", _build_go) / "check"), broker.service_url, broker.admin_url])
    try:
        yield client
    finally:
        client.close()
