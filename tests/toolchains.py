"""What contract tests build or fetch once: Java and Go functions, and Pulsar's Java instance."""

import json
import os
import subprocess
from functools import cache, partial
from pathlib import Path

import anyio
from magnetar.java.archive import find_archive
from magnetar.java.download import CENTRAL
from magnetar.java.fetch import fetch
from magnetar.java.installation import JavaInstallation, find_installation
from magnetar.java.lock import LOCKED
from magnetar.java.version import find_java, java_release
from magnetar.runtimes.process.java import JavaSettings
from magnetar.runtimes.process.java_archive import make_archive

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("MAGNETAR_CACHE", ROOT / ".cache"))


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(["nice", "-n", "19", *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def java_examples() -> Path:
    """The jar of examples/java, built by Maven."""
    folder = ROOT / "examples" / "java"
    _run("mvn", "-q", "-B", "-ntp", "package", cwd=folder)
    return folder / "target" / "functions.jar"


@cache
def pulsars_examples() -> Path:
    """The jar of example functions that Pulsar publishes, got by Maven."""
    jar = CACHE / "examples" / f"pulsar-functions-api-examples-{LOCKED}.jar"
    if not jar.is_file():
        jar.parent.mkdir(parents=True, exist_ok=True)
        artefact = f"org.apache.pulsar:pulsar-functions-api-examples:{LOCKED}:jar"
        _run(
            "mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artefact}", f"-DoutputDirectory={jar.parent}", cwd=CACHE
        )
    return jar


@cache
def java_installation() -> JavaInstallation:
    """Pulsar's Java instance, fetched once, with a class data archive."""
    anyio.run(
        partial(fetch, LOCKED, CACHE, way="auto", repository=CENTRAL, progress=lambda _: None, told=lambda _: None)
    )
    found, java = find_installation(None, "", CACHE), find_java(os.environ)
    assert java is not None
    if find_archive(found, java, CACHE) is None:
        make_archive(found, java, CACHE)
    return found


def java_settings() -> JavaSettings:
    """What Java instances need, as a worker has it."""
    found, java = java_installation(), find_java(os.environ)
    assert java is not None
    return JavaSettings(
        find=lambda: found,
        program=lambda: java,
        release=java_release,
        archive=lambda each: find_archive(each, java, CACHE),
    )


@cache
def go_examples() -> Path:
    """A folder with the programs of examples/go and the broken ones of the tests, each by its name."""
    folder = CACHE / "go"
    folder.mkdir(parents=True, exist_ok=True)
    _run("go", "build", "-o", str(folder / "exclaim"), "./exclaim", cwd=ROOT / "examples" / "go")
    _run("go", "build", "-o", str(folder / "impatient"), "./impatient", cwd=ROOT / "tests" / "go")
    module, ours = ROOT / "examples" / "go", ("chatty", "nap")
    overlay = folder / "overlay.json"
    sources = {str(module / name / "main.go"): str(ROOT / "tests" / "go" / name / "main.go") for name in ours}
    overlay.write_text(json.dumps({"Replace": sources}))
    for name in ours:
        _run("go", "build", "-overlay", str(overlay), "-o", str(folder / name), f"./{name}", cwd=module)
    return folder
