"""The oldest and the newest libraries that the instance claims to run with, installed by uv from the public index."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pulsar
import pytest
from instance_process import collect, details, produce, running, unique
from magnetar_broker.testing import RunningBroker

CODE = """\
import google.protobuf


def process(input):
    return f"{input} {google.protobuf.__version__} {google.protobuf.__file__}"
"""
UNREACHABLE = ("Failed to fetch", "error sending request", "Request failed", "timed out", "offline")


def installed(folder: Path, resolution: str) -> Path:
    """Install what the instance requires, or skip where no index can be reached."""
    (folder / "requirements.txt").write_text("\n".join(requires("magnetar-instance") or ()))
    target = folder / "libraries"
    command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target), "--no-build"]
    command += ["--resolution", resolution, "-r", "requirements.txt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if any(mark in done.stderr for mark in UNREACHABLE):
        pytest.skip("the package index can't be reached")
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("resolution", "oldest"), [("lowest-direct", True), ("highest", False)])
def test_an_instance_runs_with_the_libraries_that_it_claims(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path, resolution: str, oldest: bool
) -> None:
    """Messages, gRPC and metrics work with protobuf, grpcio, the client and Prometheus at both ends of their ranges."""
    libraries = installed(tmp_path, resolution)
    source, sink = unique("in"), unique("out")
    (tmp_path / "tells.py").write_text(CODE)
    options = {"logs": tmp_path / "logs", "environment": {"PYTHONPATH": str(libraries)}}
    with running(details("tells", [source], sink), tmp_path / "tells.py", pulsar_broker.service_url, **options) as made:
        produce(client, source, [b"x"])
        _, version, file = collect(client, sink, 1)[0].data().decode().split()
        assert Path(file).is_relative_to(libraries)
        assert version.startswith("4.25.") == oldest
        assert made.until(lambda status: status.numSuccessfullyProcessed == 1).numReceived == 1
        assert made.metrics().processedSuccessfullyTotal == 1
        assert "pulsar_function_processed_successfully_total" in made.metrics_text()
