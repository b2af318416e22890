"""The broker of a worker that asks who its callers are: it asks, too, by the same keys."""

import base64
import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pulsar
import pytest
from magnetar.config.security_keys import BASIC_PROVIDER, TOKEN_PROVIDER
from magnetar.embedded_broker import security_file
from standalone import Standalone, standalone
from surviving import kill, surviving

SECRET, OTHER = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
PASSWORDS = "bob:$apr1$abcdefgh$hnz8AY7O7E7QvKAVjuw920\n"
FUNCTIONS = "/admin/v3/functions/public/default"
QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
TELLING = """
import pathlib
def process(input):
    return pathlib.Path(input).read_text() if input.startswith("/") else input + "!"
"""


def token(role: str, secret: bytes = SECRET) -> str:
    return jwt.encode({"sub": role}, secret, "HS256")


def bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}


def keys(folder: Path) -> dict[str, Any]:
    """Return the keys of a worker whose super users `root` and `bob` are known by a token and a password."""
    (folder / "secret.key").write_bytes(SECRET)
    return {
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER, BASIC_PROVIDER],
        "superUserRoles": ["root", "bob"],
        "properties": {
            "tokenSecretKey": str(folder / "secret.key"),
            "basicAuthConf": base64.b64encode(PASSWORDS.encode()).decode(),
        },
    }


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    folder = tmp_path_factory.mktemp("secured")
    config = folder / "functions_worker.yml"
    config.write_text(json.dumps({**keys(folder), "magnetar": {"runtimes": ["process", "thread"], "zygote": False}}))
    with standalone(folder / "data", "--config", str(config)) as running:
        running.http.headers.update(bearer(token("root")))
        yield running


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def opened(worker: Standalone, shown: pulsar.Authentication | None) -> None:
    """Publish by the binary protocol."""
    limits = {"operation_timeout_seconds": 2, "connection_timeout_ms": 2000}
    client = pulsar.Client(worker.addresses["broker"], authentication=shown, logger=QUIET, **limits)
    try:
        client.create_producer("public/default/t").send(b"x")
    finally:
        client.close()


def through(worker: Standalone, name: str, text: str, expected: str = "") -> str:
    """Send a message into a function and return what comes out; with `expected`, older ones that come again are let go."""
    shown = pulsar.AuthenticationToken(token("root"))
    client = pulsar.Client(worker.addresses["broker"], authentication=shown, logger=QUIET)
    try:
        consumer = client.subscribe(f"public/default/{name}-out", "test")
        client.create_producer(f"public/default/{name}-in").send(text.encode())
        while True:
            message = consumer.receive(50_000)
            consumer.acknowledge(message)
            told = str(message.data().decode())
            if expected in {"", told}:
                return told
    finally:
        client.close()


def create(worker: Standalone, name: str, **more: Any) -> None:
    answer = worker.create(name, TELLING, {"inputs": [f"{name}-in"], "output": f"{name}-out", **more})
    assert answer.status_code == 204, answer.text


def broker_pid(worker: Standalone) -> int:
    return int(json.loads((worker.data / "broker.json").read_text())["pid"])


def test_both_doors_of_the_broker_are_closed_to_strangers(worker: Standalone) -> None:
    """Who is known to the worker is known to its broker, by a token as by a password; nobody else is."""
    admin = f"{worker.addresses['brokerAdmin']}/admin/v2/tenants"
    for refused in (None, pulsar.AuthenticationToken(token("root", OTHER)), pulsar.AuthenticationBasic("bob", "no")):
        with pytest.raises(pulsar.PulsarException):
            opened(worker, refused)
    for headers in ({}, bearer(token("root", OTHER))):
        assert httpx.get(admin, headers=headers).status_code == 401
    assert httpx.get(admin, auth=("bob", "no")).status_code == 401
    opened(worker, pulsar.AuthenticationToken(token("root")))
    opened(worker, pulsar.AuthenticationBasic("bob", "opensesame"))
    assert httpx.get(admin, headers=bearer(token("root"))).json() == ["public"]
    assert httpx.get(admin, auth=("bob", "opensesame")).json() == ["public"]
    # The worker hands on what it has judged, in its own name.
    assert worker.http.get("/admin/v2/tenants").json() == ["public"]


def test_no_secret_can_be_seen_by_others(worker: Standalone) -> None:
    """The broker reads its keys from a file that is this user's alone."""
    process = psutil.Process(broker_pid(worker))
    shown = " ".join([*process.cmdline(), *process.environ().values()])
    file = security_file(worker.data / "broker")
    assert str(file) in shown
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for secret in json.loads(file.read_text()).values():
        if isinstance(secret, str) and secret.startswith("data:"):
            assert secret not in shown
            assert secret not in worker.log()


@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_a_function_without_its_creator_s_token_has_one_of_its_own(worker: Standalone, runtime: str) -> None:
    """It opens the broker, and neither the worker nor anything in the worker's name."""
    worker.http.headers.pop("Authorization")
    worker.http.auth = ("bob", "opensesame")
    try:
        create(worker, f"own-{runtime}", customRuntimeOptions=json.dumps({"magnetar": {"runtime": runtime}}))
    finally:
        worker.http.auth = None
        worker.http.headers.update(bearer(token("root")))
    assert through(worker, f"own-{runtime}", "hello") == "hello!"
    if runtime == "process":
        [file] = (worker.data / "instances").glob("own-process-*.token")
        own = through(worker, "own-process", str(file))
        assert jwt.decode(own, options={"verify_signature": False})["sub"] == "public/default/own-process"
        opened(worker, pulsar.AuthenticationToken(own))
        assert worker.http.get(FUNCTIONS, headers=bearer(own)).status_code == 401


def test_a_function_has_its_creator_s_token(worker: Standalone) -> None:
    """As with any other broker; and the function goes on when the broker has died and come back with the same keys."""
    create(worker, "given")
    [file] = until(lambda: list((worker.data / "instances").glob("given-*.token")))
    assert through(worker, "given", str(file)) == token("root")
    before = broker_pid(worker)
    os.kill(before, signal.SIGKILL)
    until(lambda: broker_pid(worker) != before)
    # What was acknowledged in the last tenth of a second before the kill may come again.
    through(worker, "given", "hello", "hello!")
    with pytest.raises(pulsar.PulsarException):
        opened(worker, None)


def test_permissions_hold_at_the_broker_as_at_the_worker(worker: Standalone) -> None:
    """Who is known and has none is refused at both doors; a function has those of its creator, whose token it shows."""
    broker, anyone = worker.addresses["brokerAdmin"], bearer(token("anyone"))
    with pytest.raises(pulsar.AuthorizationError):
        opened(worker, pulsar.AuthenticationToken(token("anyone")))
    assert httpx.get(f"{broker}/admin/v2/tenants", headers=anyone).status_code == 401
    for role, actions in (("anyone", ["produce"]), ("maker", ["functions", "packages", "produce", "consume"])):
        granted = f"/admin/v2/namespaces/public/default/permissions/{role}"
        assert worker.http.post(granted, json=actions).status_code == 204
    opened(worker, pulsar.AuthenticationToken(token("anyone")))
    assert httpx.get(f"{broker}/admin/v2/persistent/public/default", headers=anyone).status_code == 200
    worker.http.headers.update(bearer(token("maker")))
    try:
        until(lambda: worker.http.get(FUNCTIONS).status_code == 200)
        create(worker, "made")
    finally:
        worker.http.headers.update(bearer(token("root")))
    assert through(worker, "made", "hello") == "hello!"


def test_a_broker_that_outlived_its_worker_is_not_left_with_other_keys(tmp_path: Path) -> None:
    """It goes on while the keys are the same, its functions' tokens too; after a change a new one takes its place."""
    with surviving(tmp_path, keys=keys(tmp_path)) as worker:
        worker.http.headers.update(bearer(token("root")))
        create(worker, "lasting")
        assert through(worker, "lasting", "hello") == "hello!"
        before = broker_pid(worker)
        kill(worker)
        worker.start()
        assert broker_pid(worker) == before
        through(worker, "lasting", "again", "again!")
        kill(worker)
        (tmp_path / "secret.key").write_bytes(OTHER)
        worker.start()
        assert broker_pid(worker) != before
        admin = f"{worker.addresses['brokerAdmin']}/admin/v2/tenants"
        for secret, status in ((OTHER, 200), (SECRET, 401)):
            assert httpx.get(admin, headers=bearer(token("root", secret))).status_code == status
