import asyncio
import base64
import contextlib
import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
import jwt
import pulsar
import pytest
from certificates import Authority
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from magnetar_broker.auth.authenticator import Authenticator
from magnetar_broker.auth.tokens import TokenSettings, TokenVerifier
from magnetar_broker.broker import Broker
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_broker.wire.frames import FrameReader, command_frame
from magnetar_broker.wire.proto import pulsar_api
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

SECRET = b"0123456789abcdef0123456789abcdef"
PASSWORDS = b"bob:$apr1$abcdefgh$hnz8AY7O7E7QvKAVjuw920\n"
QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


def token(role: str, *, secret: bytes = SECRET, lifetime: float = 3600) -> str:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lifetime)
    return jwt.encode({"sub": role, "exp": expires}, secret, "HS256")


def send_one(url: str, **options: object) -> None:
    # A connection that is never greeted keeps the client's descriptors for as long as it waits for the greeting.
    limits = {"operation_timeout_seconds": 2, "connection_timeout_ms": 2000}
    client = pulsar.Client(url, logger=QUIET, **limits, **options)
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


def test_keys_in_a_file_open_both_doors_to_whom_they_name(tmp_path: Path) -> None:
    """Tokens, passwords, and the tokens of whoever runs the broker; what can't be used is named at the start."""
    file = tmp_path / "security.json"
    own = b"another secret of thirty-two byte"
    keys = {"tokenSecretKey": SECRET, "ownerSecretKey": own, "basicAuthConf": PASSWORDS}
    file.write_text(json.dumps({name: base64.b64encode(value).decode() for name, value in keys.items()}))
    with running_broker(arguments=["--security-file", str(file)]) as broker:
        send_one(broker.service_url, authentication=pulsar.AuthenticationToken(token("me")))
        send_one(broker.service_url, authentication=pulsar.AuthenticationToken(token("me", secret=own)))
        send_one(broker.service_url, authentication=pulsar.AuthenticationBasic("bob", "opensesame"))
        admin = f"{broker.admin_url}/admin/v2/tenants"
        assert httpx.get(admin, auth=("bob", "opensesame")).json() == ["public"]
        assert httpx.get(admin, auth=("bob", "x" * 2000)).status_code == 401
        for method, shown in (
            ("basic", "bob:no"),
            ("basic", "bob"),
            ("token", token("me", lifetime=-60)),
            ("none", ""),
        ):
            assert greeted(broker, method, shown) == BaseCommand.ERROR
        assert greeted(broker, "basic", "bob:opensesame") == BaseCommand.CONNECTED
    start = ("--security-file", str(file))
    assert "--token-secret-key" in failed_start(tmp_path / "data", *start, "--token-secret-key", "AAAA")
    for text, said in (("{", "JSON"), ("{}", "tokenSecretKey"), ('{"tokenSecret": "x"}', "'tokenSecret'")):
        file.write_text(text)
        assert said in failed_start(tmp_path / "data", *start)


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


@contextlib.asynccontextmanager
async def serving_tokens(data_dir: Path) -> AsyncIterator[tuple[Broker, int]]:
    """Serve with tokens, and look ten times a second at whose have expired."""
    key = f"data:;base64,{base64.b64encode(SECRET).decode()}"
    authenticator = Authenticator(TokenVerifier(TokenSettings(secret_key=key)))
    async with Broker(data_dir) as broker, anyio.create_task_group() as tasks:
        service = PulsarService(broker, authenticator=authenticator)
        tasks.start_soon(check_credentials, service, name="check credentials")
        try:
            yield broker, await service.listen("127.0.0.1", 0)
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await service.close()


async def check_credentials(service: PulsarService) -> None:
    while True:
        await anyio.sleep(0.1)
        for peer in list(service._peers):
            service._session.check_credentials(peer)


async def test_a_client_shows_a_fresh_token_when_its_first_one_expires(tmp_path: Path) -> None:
    """The broker asks for it on the same connection, and the client's producer goes on without a gap."""
    shown: list[str] = []

    def fresh() -> str:
        shown.append(token("me", lifetime=6))
        return shown[-1]

    def send_until_shown_again(producer: pulsar.Producer) -> int:
        first, sent = len(shown), 0
        while len(shown) < first + 2:
            producer.send(b"x")
            sent += 1
            time.sleep(0.05)
        producer.send(b"the last")
        return sent + 1

    async with serving_tokens(tmp_path) as (broker, port):
        client = pulsar.Client(
            f"pulsar://127.0.0.1:{port}", logger=QUIET, authentication=pulsar.AuthenticationToken(fresh)
        )
        try:
            with anyio.fail_after(60):
                producer = await anyio.to_thread.run_sync(client.create_producer, "t")
                sent = await anyio.to_thread.run_sync(send_until_shown_again, producer)
            # One that had come again would count from its return.
            assert [each.sent.messages for each in broker.get("t").producers.all.values()] == [sent]
        finally:
            await anyio.to_thread.run_sync(client.close)


async def test_a_client_without_a_fresh_token_is_let_go(tmp_path: Path) -> None:
    """It is asked once; when it shows the same again, its connection ends with Pulsar's error."""
    async with serving_tokens(tmp_path) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stale = token("me", lifetime=3)
        writer.write(greeting(stale))
        commands: list[BaseCommand] = []
        frames = FrameReader()
        with anyio.fail_after(60):
            while data := await reader.read(65536):
                for command, _rest in frames.feed(data):
                    commands.append(BaseCommand.FromString(command))
                    if commands[-1].type == BaseCommand.AUTH_CHALLENGE:
                        writer.write(response(stale))
        writer.close()
        await writer.wait_closed()
        kinds = [command.type for command in commands]
        assert kinds == [BaseCommand.CONNECTED, BaseCommand.AUTH_CHALLENGE, BaseCommand.ERROR]
        assert commands[-1].error.error == pulsar_api.AuthenticationError


def greeted(broker: RunningBroker, method: str, shown: str) -> int:
    """Greet the broker and return what kind of command it answers with."""
    port = int(broker.service_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=40) as connection:
        connection.sendall(greeting(shown, method))
        frames = FrameReader()
        while True:
            for command, _ in frames.feed(connection.recv(65536)):
                return int(BaseCommand.FromString(bytes(command)).type)


def greeting(credentials: str, method: str = "token") -> bytes:
    command = BaseCommand(type=BaseCommand.CONNECT)
    command.connect.client_version, command.connect.protocol_version = "test", 20
    command.connect.auth_method_name, command.connect.auth_data = method, credentials.encode()
    command.connect.feature_flags.supports_auth_refresh = True
    return command_frame(command)


def response(credentials: str) -> bytes:
    command = BaseCommand(type=BaseCommand.AUTH_RESPONSE)
    command.authResponse.response.auth_method_name = "token"
    command.authResponse.response.auth_data = credentials.encode()
    return command_frame(command)
