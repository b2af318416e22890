"""The worker's own HTTPS: what an application learns of clients, renewed certificates, protocols and ciphers."""

import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import pytest
from certificates import Authority
from magnetar.errors import StartError
from magnetar.logs import worker_logger
from magnetar.server_tls import ServerTls, renewing
from magnetar.web import CERTIFICATE, bind, serve
from starlette.responses import JSONResponse

REFUSED = (httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)
Client = tuple[Path, Path]


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the scope tells of the connection."""
    shown = {"subject": scope.get(CERTIFICATE, {}).get("subject"), "scheme": scope["scheme"]}
    await JSONResponse(shown)(scope, receive, send)


@asynccontextmanager
async def mirrored(tls: ServerTls) -> AsyncIterator[str]:
    context = renewing(tls, worker_logger())
    async with serve(mirror, bind("workerPortTls", "127.0.0.1", 0), context) as port:
        yield f"https://localhost:{port}/"


async def ask(url: str, authority: Authority, client: Client | None = None, **limits: ssl.TLSVersion) -> Any:
    context = ssl.create_default_context(cafile=authority.certificate)
    for name, version in limits.items():
        setattr(context, name, version)
    if client:
        context.load_cert_chain(*client)
    with anyio.fail_after(60):
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            return (await http.get(url)).json()


def authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


async def test_the_client_s_certificate_reaches_the_application(tmp_path: Path) -> None:
    """uvicorn tells nothing of it: ours does, on every request, for a certificate that an authority vouches for."""
    ours, foreign = authority(tmp_path / "a"), authority(tmp_path / "b")
    async with mirrored(ServerTls(*ours.issue("server"), ours.certificate, asks=True)) as url:
        assert await ask(url, ours) == {"subject": None, "scheme": "https"}
        assert await ask(url, ours, ours.issue("me")) == {"subject": [[["commonName", "me"]]], "scheme": "https"}
        with pytest.raises(REFUSED):
            await ask(url, ours, foreign.issue("me"))
    async with mirrored(ServerTls(*ours.issue("server"), ours.certificate, demands=True)) as url:
        assert (await ask(url, ours, ours.issue("me")))["subject"] == [[["commonName", "me"]]]
        with pytest.raises(REFUSED):
            await ask(url, ours)


async def test_plain_http_shows_no_certificate() -> None:
    """What a header claims is no certificate."""
    async with (
        serve(mirror, bind("workerPort", "127.0.0.1", 0)) as port,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        answer = await http.get(f"http://localhost:{port}/", headers={"X-Forwarded-Proto": "https"})
        assert answer.json() == {"subject": None, "scheme": "http"}


async def test_answers_are_sent_at_once() -> None:
    """A connection does not wait for the client to acknowledge the head of an answer before it sends the body."""
    told: list[int] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        ours = [each for each in psutil.Process().net_connections("tcp") if each.raddr == scope["client"]]
        with socket.socket(fileno=os.dup(ours[0].fd)) as connection:
            told.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await mirror(scope, receive, send)

    async with (
        serve(look, bind("workerPort", "127.0.0.1", 0)) as port,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        assert (await http.get(f"http://localhost:{port}/")).status_code == 200
    assert told
    assert all(told)


async def test_renewed_certificates_count_without_a_restart(tmp_path: Path) -> None:
    """Server and clients may change to another authority; files that can't be read leave the ones before in use."""
    old, new = authority(tmp_path / "a"), authority(tmp_path / "b")
    certificate, key = old.issue("server")
    async with mirrored(ServerTls(certificate, key, old.certificate, demands=True, refresh=0)) as url:
        assert (await ask(url, old, old.issue("me")))["subject"]
        certificate.write_text("not a certificate")
        assert (await ask(url, old, old.issue("me")))["subject"]
        for target, source in zip((certificate, key), new.issue("server"), strict=True):
            target.write_bytes(source.read_bytes())
        trusted = old.certificate.read_bytes()
        old.certificate.write_bytes(new.certificate.read_bytes())
        assert (await ask(url, new, new.issue("you")))["subject"] == [[["commonName", "you"]]]
        with pytest.raises(REFUSED):
            await ask(url, new, old.issue("me"))
        old.certificate.write_bytes(trusted)
        assert (await ask(url, new, old.issue("me")))["subject"]


async def test_protocols_and_ciphers_are_those_of_the_config(tmp_path: Path) -> None:
    """Names of Java and of OpenSSL are taken; what OpenSSL does not know is refused at the start."""
    ours = authority(tmp_path / "a")
    files = ours.issue("server")
    tls13 = ServerTls(*files, protocols=frozenset({"TLSv1.3"}))
    async with mirrored(tls13) as url:
        assert (await ask(url, ours))["scheme"] == "https"
        with pytest.raises(REFUSED):
            await ask(url, ours, maximum_version=ssl.TLSVersion.TLSv1_2)
    java, openssl = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"
    chosen = ServerTls(*files, ciphers=frozenset({java, openssl, "TLS_AES_256_GCM_SHA384"})).context()
    below_13 = {each["name"] for each in chosen.get_ciphers() if each["protocol"] != "TLSv1.3"}
    assert below_13 == {"ECDHE-ECDSA-AES128-GCM-SHA256", openssl}
    for wrong in (
        ServerTls(*files, ciphers=frozenset({"NONE_SUCH"})),
        ServerTls(*files, protocols=frozenset({"SSLv3"})),
        ServerTls(tmp_path / "absent.pem", files[1]),
    ):
        with pytest.raises(StartError, match=r"NONE_SUCH|SSLv3|absent\.pem|cipher"):
            wrong.context()
