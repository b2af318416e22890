"""Supervision on a real Pulsar: adoption, an update, one that fails, and a death, of instances on its topics."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from magnetar.processes.home import LauncherHome
from pulsar_bed.bed import Addresses, requires_pulsar
from standalone import WorkerProcess, running, until
from surviving import kill

CODE = """
from pulsar import Function
class F(Function):
    def process(self, input, context):
        return f"{input} VERSION"
"""
pytestmark = [requires_pulsar(), pytest.mark.timeout(400)]


def function(version: int) -> str:
    return CODE.replace("VERSION", str(version))


def pids(worker: WorkerProcess) -> dict[str, int]:
    return {name: each["pid"] for name, each in running(worker, 2).items()}


def test_instances_outlive_their_worker_and_are_updated(real_pulsar: Addresses, tmp_path: Path) -> None:
    """The next worker adopts both; an update replaces both, a bad one leaves them alone, a killed one comes back."""
    data = tmp_path / "data"
    own = {"healthPort": 0, "metricsPort": 0, "bindAddress": "127.0.0.1", "dataDirectory": str(data)}
    keys = {
        "workerId": "supervises",
        "workerHostname": "127.0.0.1",
        "workerPort": 0,
        "pulsarServiceUrl": real_pulsar.service_url,
        "pulsarWebServiceUrl": real_pulsar.admin_url,
        "pulsarFunctionsNamespace": "public/supervision",
        "functionRuntimeFactoryConfigs": {"logDirectory": str(tmp_path / "logs")},
        "downloadDirectory": str(tmp_path / "downloads"),
        "magnetar": {**own, "instanceSurvivesWorker": True, "stopGrace": 5},
    }
    config = tmp_path / "functions_worker.yml"
    config.write_text(yaml.safe_dump(keys))
    worker = WorkerProcess(data, str(config))
    worker.start()
    try:
        topics = {"inputs": ["supervised-in"], "output": "supervised-out"}
        answer = worker.create("f", function(0), {**topics, "className": "function.F", "parallelism": 2})
        assert answer.status_code == 204, answer.text
        before = pids(worker)
        kill(worker)
        worker.start()
        after = running(worker, 2)
        assert {name: each["pid"] for name, each in after.items()} == before
        assert not any(each["restarts"] for each in after.values())
        worker.update("f", {}, "function.py", function(1).encode())
        until(lambda: not set(pids(worker).values()) & set(before.values()), "the update is not made")
        now = pids(worker)
        worker.update("f", {}, "function.py", ("import nowhere_at_all\n" + function(2)).encode())
        until(
            lambda: all("could not be made" in (each["reason"] or "") for each in worker.instances()), "it is not told"
        )
        assert pids(worker) == now
        os.kill(now["public/default/f:0"], signal.SIGKILL)
        until(lambda: running(worker, 2)["public/default/f:0"]["restarts"] == 1, "its death was not seen")
        consumer = worker.client.subscribe("supervised-out", "test")
        worker.client.create_producer("supervised-in").send(b"a")
        assert consumer.receive(60_000).data() == b"a 1"
        assert worker.http.delete("/admin/v3/functions/public/default/f").status_code == 204
    finally:
        kill(worker)
        guardian = LauncherHome(data).launcher
        if guardian is not None and guardian.alive:
            os.kill(guardian.pid, signal.SIGTERM)
            until(lambda: not guardian.alive, "the guardian goes on")
