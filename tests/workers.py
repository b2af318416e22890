"""`magnetar worker -c` for tests: several processes of one fleet on a broker that is there."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from magnetar_broker.testing import RunningBroker
from standalone import WorkerProcess


def config(tmp_path: Path, name: str, service_url: str, admin_url: str, **keys: object) -> Path:
    """A functions_worker.yml as an operator writes it."""
    own = {"healthPort": 0, "metricsPort": 0, "bindAddress": "127.0.0.1", "dataDirectory": str(tmp_path / name)}
    keys = {
        "workerId": name,
        "workerHostname": "127.0.0.1",
        "workerPort": 0,
        "pulsarServiceUrl": service_url,
        "pulsarWebServiceUrl": admin_url,
        "functionRuntimeFactoryClassName": "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory",
        "functionRuntimeFactoryConfigs": {"logDirectory": str(tmp_path / "logs")},
        "downloadDirectory": str(tmp_path / name / "downloads"),
        "failureCheckFreqMs": 500,
        "rescheduleTimeoutMs": 500,
        **keys,
        "magnetar": own | dict(keys.get("magnetar") or {}),  # type: ignore[call-overload]
    }
    file = tmp_path / f"{name}.yml"
    file.write_text(yaml.safe_dump(keys))
    return file


def worker(tmp_path: Path, name: str, broker: RunningBroker, **keys: object) -> WorkerProcess:
    file = config(tmp_path, name, broker.service_url, broker.admin_url, **keys)
    return WorkerProcess(tmp_path / name, str(file))


@contextmanager
def workers(tmp_path: Path, broker: RunningBroker, *names: str, **keys: object) -> Iterator[dict[str, WorkerProcess]]:
    """Run workers while the context is open; one may be killed meanwhile."""
    fleet = {name: worker(tmp_path, name, broker, **keys) for name in names}
    started: list[WorkerProcess] = []
    try:
        for each in fleet.values():
            each.start()
            started.append(each)
        yield fleet
    finally:
        for each in started:
            if each._process.poll() is None:
                each.stop(signal.SIGTERM)
