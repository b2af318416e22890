import datetime as dt
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pulsar
import pytest
from certificates import Authority
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from magnetar_broker.testing import RunningBroker, running_broker

SECRET = b"0123456789abcdef0123456789abcdef"
QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


def token(role: str, *, secret: bytes = SECRET, lifetime: float = 3600) -> str:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lifetime)
    return jwt.encode({"sub": role, "exp": expires}, secret, "HS256")


def send_one(url: str, **options: object) -> None:
    client = pulsar.Client(url, logger=QUIET, operation_timeout_seconds=2, **options)
    try:
        client.create_producer("persistent://public/default/t").send(b"x")
    finally:
        client.close()


@pytest.fixture(scope="module")
def token_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    key = tmp_path_factory.mktemp("keys") / "secret.key"
    key.write_bytes(SECRET)
    with running_broker(arguments=["--token-secret-key", f"file://{key}"]) as broker:
        yield broker


def test_a_valid_token_opens_both_doors(token_broker: RunningBroker) -> None:
    """The binary protocol and the admin API take the same token."""
    send_one(token_broker.service_url, authentication=pulsar.AuthenticationToken(token("me")))
    headers = {"Authorization": f"Bearer {token('me')}"}
    assert httpx.get(f"{token_broker.admin_url}/admin/v2/tenants", headers=headers).json() == ["public"]


@pytest.mark.parametrize(
    "bad",
    [token("me", secret=b"another secret of thirty-two byte"), token("me", lifetime=-60), "no token at all", ""],
    ids=["another key", "expired", "garbage", "none"],
)
def test_another_token_opens_neither(token_broker: RunningBroker, bad: str) -> None:
    """The client tries again until its time is up, and HTTP answers 401 with a reason."""
    authentication = {"authentication": pulsar.AuthenticationToken(bad)} if bad else {}
    with pytest.raises(pulsar.PulsarException):
        send_one(token_broker.service_url, **authentication)
    headers = {"Authorization": f"Bearer {bad}"} if bad else {}
    response = httpx.get(f"{token_broker.admin_url}/admin/v2/tenants", headers=headers)
    assert response.status_code == 401
    assert response.json()["reason"]


def test_a_public_key_checks_what_its_private_key_signed(tmp_path: Path) -> None:
    """An RSA key in DER is enough for the broker; PEM is refused by name."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    der, pem = tmp_path / "public.der", tmp_path / "public.pem"
    der.write_bytes(public.public_bytes(serialization.Encoding.DER, spki))
    pem.write_bytes(public.public_bytes(serialization.Encoding.PEM, spki))
    with running_broker(arguments=["--token-public-key", str(der)]) as broker:
        signed = jwt.encode({"sub": "me"}, private, "RS256")
        send_one(broker.service_url, authentication=pulsar.AuthenticationToken(signed))
        with pytest.raises(pulsar.PulsarException):
            send_one(broker.service_url, authentication=pulsar.AuthenticationToken(token("me")))
    assert "PEM" in failed_start(tmp_path / "data", "--token-public-key", str(pem))


def failed_start(data_dir: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "magnetar_broker", "--data-dir", str(data_dir), "--port", "0", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_settings_that_can_not_be_are_refused_at_start(tmp_path: Path) -> None:
    """Each with one line that says what to do."""
    assert "32" in failed_start(tmp_path, "--token-secret-key", "data:;base64,c2hvcnQ=")
    assert "--insecure" in failed_start(tmp_path, "--host", "0.0.0.0")
    assert "--tls-key" in failed_start(tmp_path, "--tls-cert", "a.pem")
    assert "--tls-cert" in failed_start(tmp_path, "--tls-client-ca", "a.pem")
    assert "missing.pem" in failed_start(tmp_path, "--tls-cert", "missing.pem", "--tls-key", "missing.pem")
    assert "ES999" in failed_start(tmp_path, "--token-public-key", "AAAA", "--token-public-alg", "ES999")


def test_a_client_certificate_opens_both_doors_and_none_opens_neither(tmp_path: Path) -> None:
    """TLS with a certificate that the authority signed; without one the handshake or the greeting fails."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    mine, my_key = authority.issue("me")
    arguments = ["--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(authority.certificate)]
    with running_broker(arguments=arguments) as broker:
        assert broker.service_url.startswith("pulsar+ssl://")
        url = broker.service_url.replace("127.0.0.1", "localhost")
        trust = {"tls_trust_certs_file_path": str(authority.certificate), "tls_validate_hostname": False}
        send_one(url, authentication=pulsar.AuthenticationTLS(str(mine), str(my_key)), **trust)
        with pytest.raises(pulsar.PulsarException):
            send_one(url, **trust)
        admin = broker.admin_url.replace("127.0.0.1", "localhost") + "/admin/v2/tenants"
        context = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.raises(httpx.HTTPError):
            httpx.get(admin, verify=context)
        context.load_cert_chain(mine, my_key)
        assert httpx.get(admin, verify=context).json() == ["public"]


def test_tls_alone_hides_what_travels(tmp_path: Path) -> None:
    """With a certificate of its own and no authentication the broker serves anyone over TLS."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    with running_broker(arguments=["--tls-cert", str(certificate), "--tls-key", str(key)]) as broker:
        url = broker.service_url.replace("127.0.0.1", "localhost")
        send_one(url, tls_trust_certs_file_path=str(authority.certificate), tls_validate_hostname=False)
