"""The broker of a worker that speaks TLS: with the worker's own certificate, at both of its doors."""

import base64
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pulsar
import pytest
from certificates import Authority
from magnetar.config.security_keys import TLS_PROVIDER, TOKEN_PROVIDER
from magnetar_broker.testing import running_broker
from mixed import create_in
from requirements import requires
from secured import SECRET, Secured, token_of
from standalone import standalone
from toolchains import CACHE, java_installation

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
TENANTS = "/admin/v2/tenants"


def keys(authority: Authority, **more: object) -> dict[str, object]:
    certificate, key = authority.issue("server")
    return {
        "tlsCertificateFilePath": str(certificate),
        "tlsKeyFilePath": str(key),
        "tlsTrustCertsFilePath": str(authority.certificate),
        "tlsEnableHostnameVerification": True,
        "magnetar": {
            "embeddedBroker": {"brokerServicePortTls": 0, "webServicePortTls": 0},
            "runtimes": ["process", "thread"],
        },
        **more,
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Give a worker whose super user is `root`, by a token or a certificate."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    asking = {
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER, TLS_PROVIDER],
        "superUserRoles": ["root"],
        "properties": {"tokenSecretKey": base64.b64encode(SECRET).decode()},
    }
    config = folder / "functions_worker.yml"
    config.write_text(json.dumps(keys(authority, **asking)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGNETAR_CACHE", str(CACHE))
        with standalone(folder / "data", "--config", str(config)) as worker:
            worker.http.headers.update({"Authorization": f"Bearer {token_of('root')}"})
            yield Secured(worker, authority)


def through(url: str, authority: Authority, name: str, authentication: pulsar.Authentication | None) -> str:
    """Send a message into a function and return what comes out."""
    trust = str(authority.certificate)
    client = pulsar.Client(url, authentication=authentication, tls_trust_certs_file_path=trust, logger=QUIET)
    try:
        consumer = client.subscribe(f"public/default/{name}-out", "test")
        client.create_producer(f"public/default/{name}-in").send(b"hello")
        message = consumer.receive(120_000)
        consumer.acknowledge(message)
        return str(message.data().decode())
    finally:
        client.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "more"),
    [
        pytest.param("python", {}, id="process"),
        pytest.param("python", {"customRuntimeOptions": '{"magnetar": {"runtime": "thread"}}'}, id="thread"),
        pytest.param("go", {}, id="go", marks=requires("go")),
        pytest.param("java", {}, id="java", marks=[requires("java"), requires("maven")]),
    ],
)
def test_functions_connect_over_tls(served: Secured, language: str, more: dict[str, Any]) -> None:
    """In every language, with the name in the certificate judged, and with their creator's token."""
    if language == "java":
        java_installation()
    name = create_in(served.worker, language, **more)
    url, shown = served.worker.addresses["broker"], pulsar.AuthenticationToken(token_of("root"))
    assert url.startswith("pulsar+ssl://localhost:")
    assert through(url, served.authority, name, shown) == "hello?!"


def test_a_certificate_is_a_role_at_both_doors(served: Secured) -> None:
    """A super user's opens them, another one's does not, and without one or a token nobody is known."""
    url, admin = served.worker.addresses["broker"], served.worker.addresses["brokerAdmin"]
    trust = str(served.authority.certificate)
    for role, status in (("root", 200), ("nobody", 401)):
        certificate, key = served.authority.issue(role)
        context = ssl.create_default_context(cafile=trust)
        context.load_cert_chain(certificate, key)
        assert httpx.get(admin + TENANTS, verify=context, timeout=60).status_code == status
        shown = pulsar.AuthenticationTLS(str(certificate), str(key))
        client = pulsar.Client(url, authentication=shown, tls_trust_certs_file_path=trust, logger=QUIET)
        try:
            if status == 200:
                client.create_producer("t").send(b"x")
            else:
                with pytest.raises(pulsar.AuthorizationError):
                    client.create_producer("t")
        finally:
            client.close()
    context = ssl.create_default_context(cafile=trust)
    assert httpx.get(admin + TENANTS, verify=context, timeout=60).status_code == 401
    assert served.worker.http.get(TENANTS).json() == ["public"]


def test_nothing_is_served_without_tls(served: Secured) -> None:
    """Who speaks HTTP to the port of HTTPS gets no answer."""
    plain = served.worker.addresses["brokerAdmin"].replace("https://", "http://")
    with pytest.raises(httpx.HTTPError):
        httpx.get(plain + TENANTS, timeout=60)


def test_tls_needs_no_authentication(tmp_path: Path) -> None:
    """What travels is hidden, and a function is told whom it can trust."""
    authority = Authority(tmp_path)
    config = tmp_path / "functions_worker.yml"
    config.write_text(json.dumps(keys(authority)))
    with standalone(tmp_path / "data", "--config", str(config)) as worker:
        name = create_in(worker, "python")
        assert through(worker.addresses["broker"], authority, name, None) == "hello?!"


def shown_by(port: int) -> bytes:
    """Return the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    """At both ports; one that can't be read leaves the one before in use."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    file = tmp_path / "security.json"
    file.write_text(json.dumps({"tlsCertificateFilePath": str(certificate), "tlsKeyFilePath": str(key)}))
    with running_broker(tmp_path / "data", ["--security-file", str(file)]) as broker:
        ports = [int(url.rpartition(":")[2]) for url in (broker.service_url, broker.admin_url)]
        before = shown_by(ports[0])
        authority.issue("server")
        after = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        assert before != after
        assert [shown_by(port) for port in ports] == [after, after]
        certificate.write_text("nothing")
        assert [shown_by(port) for port in ports] == [after, after]
