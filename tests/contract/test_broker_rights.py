"""A broker that judges its clients by permissions: what is granted works, and all else is refused with Pulsar's errors."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pulsar
import pytest
from certificates import Authority
from magnetar_broker.testing import RunningBroker, running_broker

SECRET, OWN = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
TOPIC = "persistent://acme/app/orders"
ORDERS = "/admin/v2/persistent/acme/app/orders"
NAMESPACE = "/admin/v2/namespaces/acme/app"


def token(role: str, secret: bytes = SECRET) -> str:
    return jwt.encode({"sub": role}, secret, "HS256")


def security_file(folder: Path, **more: object) -> Path:
    keys = {"tokenSecretKey": SECRET, "ownerSecretKey": OWN}
    file = folder / "security.json"
    encoded = {name: base64.b64encode(value).decode() for name, value in keys.items()}
    file.write_text(json.dumps({**encoded, "authorizationEnabled": True, "superUserRoles": ["root"], **more}))
    return file


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """Give a broker whose super user `root` has made the tenant `acme`, which `boss` administers."""
    with running_broker(tmp_path / "data", ["--security-file", str(security_file(tmp_path))]) as running:
        tenant = {"adminRoles": ["boss"], "allowedClusters": ["standalone"]}
        assert asked(running, "root", "PUT", "/admin/v2/tenants/acme", tenant).status_code == 204
        assert asked(running, "boss", "PUT", NAMESPACE).status_code == 204
        yield running


def asked(broker: RunningBroker, role: str, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token(role)}"}
    return httpx.request(method, broker.admin_url + path, json=body, headers=headers, timeout=60)


def granted(broker: RunningBroker, path: str, body: object) -> None:
    answer = asked(broker, "boss", "POST", path, body)
    assert answer.status_code == 204, answer.text


@contextmanager
def client(broker: RunningBroker, role: str, secret: bytes = SECRET) -> Iterator[Any]:
    shown = pulsar.AuthenticationToken(token(role, secret))
    made = pulsar.Client(broker.service_url, authentication=shown, logger=QUIET, operation_timeout_seconds=30)
    try:
        yield made
    finally:
        made.close()


def produces(broker: RunningBroker, role: str, topic: str = TOPIC, secret: bytes = SECRET) -> bool:
    with client(broker, role, secret) as made:
        try:
            made.create_producer(topic).send(b"x")
        except pulsar.AuthorizationError:
            return False
    return True


def consumes(broker: RunningBroker, role: str, name: str = "s", topic: str = TOPIC, secret: bytes = SECRET) -> bool:
    with client(broker, role, secret) as made:
        try:
            made.subscribe(topic, name)
        except pulsar.AuthorizationError:
            return False
    return True


def test_super_users_and_administrators_may_do_everything_and_others_nothing(broker: RunningBroker) -> None:
    """An administrator's everything ends with the tenant; a role without a permission is refused at each door."""
    for role in ("root", "boss"):
        assert produces(broker, role)
        assert consumes(broker, role)
    assert not produces(broker, "nobody")
    assert not consumes(broker, "nobody")
    assert not produces(broker, "boss", "persistent://public/default/t")
    for method, path, reason in (
        ("GET", "/admin/v2/tenants", "This operation requires super-user access"),
        ("PUT", "/admin/v2/tenants/mine", "This operation requires super-user access"),
        ("GET", NAMESPACE, "Don't have permission to administrate resources on this tenant"),
        ("DELETE", ORDERS, "Don't have permission to administrate resources on this tenant"),
        (
            "GET",
            f"{ORDERS}/stats",
            f"Unauthorized to validateTopicOperation for operation [GET_STATS] on topic [{TOPIC}]",
        ),
        (
            "GET",
            f"{NAMESPACE}/topics",
            "Unauthorized to validateNamespaceOperation for operation [GET_TOPICS] on namespace",
        ),
        ("GET", "/admin/v3/packages/function/acme/app", "Unauthorized to validateNamespaceOperation"),
    ):
        answer = asked(broker, "nobody", method, path)
        assert answer.status_code == 401, path
        assert answer.json()["reason"].startswith(reason)
    assert asked(broker, "boss", "GET", f"{ORDERS}/stats").status_code == 200
    assert asked(broker, "boss", "GET", "/admin/v2/tenants/acme").status_code == 401
    assert asked(broker, "root", "GET", "/admin/v2/tenants/acme").json()["adminRoles"] == ["boss"]


def test_each_permission_opens_its_own_door(broker: RunningBroker) -> None:
    """To produce is not to consume; a permission may be for a namespace or for one topic, and its partitions."""
    granted(broker, f"{NAMESPACE}/permissions/writer", ["produce"])
    granted(broker, f"{ORDERS}/permissions/reader", ["consume"])
    assert produces(broker, "writer")
    assert not consumes(broker, "writer")
    assert consumes(broker, "reader")
    assert not produces(broker, "reader")
    assert not consumes(broker, "reader", topic="persistent://acme/app/others")
    assert asked(broker, "boss", "GET", f"{ORDERS}/permissions").json() == {
        "writer": ["produce"],
        "reader": ["consume"],
    }
    assert asked(broker, "writer", "GET", f"{NAMESPACE}/topics").json() == [TOPIC]
    assert asked(broker, "reader", "GET", f"{NAMESPACE}/topics").status_code == 401
    assert asked(broker, "reader", "POST", f"{ORDERS}/subscription/s/skip_all").status_code == 204
    assert asked(broker, "writer", "POST", f"{ORDERS}/subscription/s/skip_all").status_code == 401
    assert asked(broker, "boss", "PUT", "/admin/v2/persistent/acme/app/parts/partitions", 2).status_code == 204
    granted(broker, "/admin/v2/persistent/acme/app/parts/permissions/reader", ["consume"])
    assert consumes(broker, "reader", topic="persistent://acme/app/parts")


def test_subscriptions_can_be_for_some_roles_alone(broker: RunningBroker) -> None:
    """By a list of roles, or by the rule that their names begin with the role."""
    for role in ("one", "two"):
        granted(broker, f"{NAMESPACE}/permissions/{role}", ["consume"])
    granted(broker, f"{NAMESPACE}/permissions/subscription/s", ["one"])
    assert consumes(broker, "one")
    assert not consumes(broker, "two")
    assert asked(broker, "boss", "DELETE", f"{NAMESPACE}/permissions/s/one").status_code == 204
    assert consumes(broker, "two")
    granted(broker, f"{NAMESPACE}/subscriptionAuthMode", "Prefix")
    assert not consumes(broker, "two")
    assert consumes(broker, "two", "two-s")


def test_what_is_revoked_is_closed_at_once_and_what_is_granted_survives_a_restart(broker: RunningBroker) -> None:
    """As with Pulsar a producer that may no longer publish is closed, and refused when it comes again."""
    granted(broker, f"{NAMESPACE}/permissions/writer", ["produce"])
    broker.kill()
    broker.restart()
    with client(broker, "writer") as made:
        producer = made.create_producer(TOPIC, send_timeout_millis=2000)
        producer.send(b"x")
        assert asked(broker, "boss", "DELETE", f"{NAMESPACE}/permissions/writer").status_code == 204
        assert asked(broker, "boss", "GET", f"{ORDERS}/stats").json()["publishers"] == []
        with pytest.raises(pulsar.PulsarException):
            producer.send(b"y")


def test_the_owner_may_do_everything_and_its_functions_use_their_own_namespace(broker: RunningBroker) -> None:
    """The names alone are worth nothing: the tokens must be of the owner's key."""
    assert produces(broker, "magnetar-worker", secret=OWN)
    assert not produces(broker, "magnetar-worker")
    assert produces(broker, "acme/app/f", secret=OWN)
    assert consumes(broker, "acme/app/f", secret=OWN)
    assert not produces(broker, "acme/app/f")
    assert not produces(broker, "acme/app/f", "persistent://public/default/t", OWN)
    assert not produces(broker, "root", secret=OWN)


def test_a_certificate_s_name_is_a_role(tmp_path: Path) -> None:
    """Its permissions are judged as a token's are."""
    authority = Authority(tmp_path)
    server, server_key = authority.issue("localhost")
    file = tmp_path / "security.json"
    file.write_text(json.dumps({"authorizationEnabled": True, "superUserRoles": "root, admin"}))
    arguments = ["--tls-cert", str(server), "--tls-key", str(server_key), "--tls-client-ca", str(authority.certificate)]
    with running_broker(tmp_path / "data", [*arguments, "--security-file", str(file)]) as running:
        url = running.service_url.replace("127.0.0.1", "localhost")
        for role, allowed in (("admin", True), ("nobody", False)):
            shown = pulsar.AuthenticationTLS(*map(str, authority.issue(role)))
            made = pulsar.Client(
                url, authentication=shown, tls_trust_certs_file_path=str(authority.certificate), logger=QUIET
            )
            try:
                if allowed:
                    made.create_producer("t").send(b"x")
                else:
                    with pytest.raises(pulsar.AuthorizationError):
                        made.create_producer("t")
            finally:
                made.close()
