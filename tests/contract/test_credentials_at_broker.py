import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import jwt
import pytest
from certificates import Authority
from coordination_fleet import fast
from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination import PulsarCoordination
from magnetar.credentials import BrokerCredentials
from magnetar.errors import BrokerRefusedError, NotReadyError
from magnetar.pulsar_client import PulsarClient
from magnetar_broker.testing import RunningBroker, running_broker

TOKEN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
TLS = "org.apache.pulsar.client.impl.auth.AuthenticationTls"
SECRET = b"0123456789abcdef0123456789abcdef"


def token(secret: bytes = SECRET) -> str:
    return jwt.encode({"sub": "worker", "exp": dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)}, secret, "HS256")


@asynccontextmanager
async def leader(broker: RunningBroker, credentials: BrokerCredentials) -> AsyncIterator[PulsarCoordination]:
    """Run a worker's coordination with these credentials at both of the broker's doors."""
    async with (
        BrokerAdmin(broker.admin_url, credentials) as admin,
        PulsarClient(broker.service_url, credentials) as client,
        PulsarCoordination(fast("a", "public/functions"), admin, client, nobody) as worker,
    ):
        yield worker


async def nobody(*_: object, delete: bool) -> None:
    raise AssertionError


async def test_a_token_opens_both_doors_and_a_renewed_file_counts(tmp_path: Path) -> None:
    """In each of Pulsar's forms; without one the worker's start is refused with 401."""
    key, file = tmp_path / "secret.key", tmp_path / "my token"
    key.write_bytes(SECRET)
    file.write_text(token(b"an older secret of thirty-two by"))
    renewed = BrokerCredentials(TOKEN, file.as_uri())
    with running_broker(arguments=["--token-secret-key", f"file://{key}"]) as broker, anyio.fail_after(50):
        for refused in (BrokerCredentials(), renewed):
            with pytest.raises(BrokerRefusedError) as error:
                async with leader(broker, refused):
                    pass
            assert error.value.status == 401
        file.write_text(token())
        for accepted in (BrokerCredentials(TOKEN, f"token:{token()}"), renewed):
            async with leader(broker, accepted) as worker:
                assert worker.is_leader


async def test_certificates_open_both_doors(tmp_path: Path) -> None:
    """The broker is known by its authority and the worker by its own certificate; strangers get nowhere."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    mine, my_key = authority.issue("worker")
    arguments = ["--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(authority.certificate)]
    parameters = f"tlsCertFile:{mine},tlsKeyFile:{my_key}"
    with running_broker(arguments=arguments) as broker, anyio.fail_after(50):
        async with leader(broker, BrokerCredentials(TLS, parameters, trust_certs=authority.certificate)) as worker:
            assert worker.is_leader
        async with leader(broker, BrokerCredentials(TLS, parameters, allow_insecure=True)) as worker:
            assert worker.is_leader
        async with BrokerAdmin(broker.admin_url, BrokerCredentials(TLS, parameters)) as admin:
            with pytest.raises(NotReadyError, match="certificate"):
                await admin.clusters()
