"""A worker, its functions and a broker that all want to know who asks; functions ask in the name of their creators."""

import base64
import json
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import psutil
import pulsar
import pytest
from magnetar.config.security_keys import TOKEN_PROVIDER
from magnetar.runtimes.handover import TOKEN_PLUGIN
from magnetar_broker.testing import RunningBroker, running_broker
from standalone import WorkerProcess

SECRET = b"0123456789abcdef0123456789abcdef"
FUNCTIONS = "/admin/v3/functions/public/default"
TELLING = """
import pathlib
def process(input):
    return pathlib.Path(input).read_text() if input.startswith("/") else input + "!"
"""


def token(role: str) -> str:
    return jwt.encode({"sub": role}, SECRET, "HS256")


def headers(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(role)}"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    key = tmp_path_factory.mktemp("key") / "secret.key"
    key.write_bytes(SECRET)
    with running_broker(arguments=["--token-secret-key", str(key)]) as running:
        yield running


def settings(broker: RunningBroker, folder: Path, **own: Any) -> Path:
    """Write a config of a worker that authenticates and authorizes; its own token is in a file."""
    (folder / "worker.token").write_text(token("worker"))
    keys = {
        "workerId": f"secure-{folder.name}",
        "workerHostname": "localhost",
        "workerPort": 0,
        "pulsarServiceUrl": broker.service_url,
        "pulsarWebServiceUrl": broker.admin_url,
        "pulsarFunctionsNamespace": f"public/functions-{folder.name}",
        "downloadDirectory": str(folder / "downloads"),
        "functionRuntimeFactoryConfigs": {"logDirectory": str(folder / "logs")},
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER],
        "superUserRoles": ["worker", "alice"],
        "properties": {"tokenSecretKey": base64.b64encode(SECRET).decode()},
        "brokerClientAuthenticationPlugin": TOKEN_PLUGIN,
        "brokerClientAuthenticationParameters": f"file://{folder}/worker.token",
        "magnetar": {
            "dataDirectory": str(folder / "data"),
            "bindAddress": "127.0.0.1",
            "healthPort": 0,
            "metricsPort": 0,
            "runtimes": ["process", "thread"],
            "zygote": False,  # a forked process shows no arguments at all
            **own,
        },
    }
    path = folder / "functions_worker.yml"
    path.write_text(json.dumps(keys))
    return path


@pytest.fixture(scope="module")
def worker(broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("callers")
    made = WorkerProcess(folder / "data", str(settings(broker, folder)))
    made.start()
    made.http.headers.update(headers("alice"))
    try:
        yield made
    finally:
        made.stop()


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def through(broker: RunningBroker, name: str, text: str) -> str:
    """Send a message into a function and return what comes out."""
    client = pulsar.Client(
        broker.service_url,
        authentication=pulsar.AuthenticationToken(token("tester")),
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )
    try:
        consumer = client.subscribe(f"public/default/{name}-out", "test")
        client.create_producer(f"public/default/{name}-in").send(text.encode())
        message = consumer.receive(40_000)
        consumer.acknowledge(message)
        return str(message.data().decode())
    finally:
        client.close()


def create(worker: WorkerProcess, name: str, **more: Any) -> Any:
    answer = worker.create(name, TELLING, {"inputs": [f"{name}-in"], "output": f"{name}-out", **more})
    assert answer.status_code == 204, answer.text
    return answer


def instance(worker: WorkerProcess, name: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        views = [each for each in worker.instances() if each["fqfn"] == f"public/default/{name}"]
        return views[0] if views and views[0]["phase"] == "running" else None

    return dict(until(found))


def test_a_process_has_its_creator_s_token_in_a_file(worker: WorkerProcess, broker: RunningBroker) -> None:
    """No secret stands on a command line or in an environment; the file is its user's alone, and goes with the instance."""
    create(worker, "own")
    process = psutil.Process(instance(worker, "own")["pid"])
    shown = " ".join([*process.cmdline(), *(f"{name}={value}" for name, value in process.environ().items())])
    assert token("alice") not in shown
    assert token("worker") not in shown
    assert "worker.token" not in shown
    [file] = (worker.data / "instances").glob("own-*.token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert through(broker, "own", str(file)) == token("alice")
    record = file.with_suffix(".json").read_text()
    assert token("alice") not in record
    assert token("alice") not in worker.log()
    worker.http.delete(f"{FUNCTIONS}/own").raise_for_status()
    until(lambda: not file.exists())


def test_a_thread_has_its_creator_s_token(worker: WorkerProcess, broker: RunningBroker) -> None:
    """It works at a broker that refuses who shows nothing."""
    create(worker, "threaded", customRuntimeOptions=json.dumps({"magnetar": {"runtime": "thread"}}))
    instance(worker, "threaded")
    assert through(broker, "threaded", "hello") == "hello!"


def test_a_new_token_takes_the_place_of_the_old(worker: WorkerProcess, broker: RunningBroker) -> None:
    """`updateAuthData` hands over the updater's token; any other update keeps the creator's."""
    create(worker, "renewed")
    instance(worker, "renewed")

    def holder() -> str:
        [file] = (worker.data / "instances").glob("renewed-*.token")
        return through(broker, "renewed", str(file))

    assert holder() == token("alice")
    config = {"className": "function", "userConfig": {"n": 1}}
    for options, role in (({}, "alice"), ({"updateAuthData": True}, "worker")):
        before = instance(worker, "renewed")["pid"]
        config["userConfig"]["n"] += 1  # type: ignore[index]
        parts = {"functionConfig": (None, json.dumps(config)), "updateOptions": (None, json.dumps(options))}
        answer = worker.http.put(f"{FUNCTIONS}/renewed", files=parts, headers=headers("worker"))
        assert answer.status_code == 204, answer.text
        until(lambda pid=before: instance(worker, "renewed")["pid"] != pid)
        assert holder() == token(role)


def test_the_worker_s_own_token_is_handed_over_only_if_that_is_told(broker: RunningBroker, tmp_path: Path) -> None:
    """`magnetar.instanceCredentials: worker` is Pulsar's way, without the secret on the command line."""
    path = settings(broker, tmp_path, instanceCredentials="worker")
    made = WorkerProcess(tmp_path / "data", str(path))
    made.start()
    made.http.headers.update(headers("alice"))
    try:
        create(made, "told")
        command = psutil.Process(instance(made, "told")["pid"]).cmdline()
        assert command[command.index("--client_auth_params") + 1] == f"file://{tmp_path}/worker.token"
        assert through(broker, "told", "hello") == "hello!"
        assert not list((made.data / "instances").glob("*.token"))
    finally:
        made.stop()
