"""The command line against a worker that wants to know who asks: options, client.conf, certificates."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from secured import Secured, secured, token_of

TOKEN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
TLS = "org.apache.pulsar.client.impl.auth.AuthenticationTls"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("door")) as running:
        yield running


def magnetar(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run a command and return its exit code and what it said."""
    command = [sys.executable, "-m", "magnetar", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAGNETAR_", "PULSAR_"))}
    done = subprocess.run(
        command,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def test_options_say_who_asks(door: Secured, tmp_path: Path) -> None:
    """A token or a certificate opens; without, as a stranger or with another authority one line says why not."""
    here = ["functions", "list", "--admin-url", door.url, "--format", "json"]
    trusted = ["--tls-trust-cert-path", str(door.authority.certificate)]
    certificate, key = door.authority.issue("root")
    file = tmp_path / "root.token"
    file.write_text(token_of("root") + "\n")
    for shown in (
        ["--auth-plugin", TOKEN, "--auth-params", f"token:{token_of('root')}"],
        ["--auth-plugin", TOKEN, "--auth-params", file.as_uri()],
        ["--token-file", str(file)],
        ["--auth-plugin", TLS, "--auth-params", f"tlsCertFile:{certificate},tlsKeyFile:{key}"],
    ):
        assert magnetar(*here, *trusted, *shown)[0] == 0, shown
    code, said = magnetar(*here, *trusted)
    assert (code, said.count("\n")) == (1, 1)
    assert "Authentication required" in said
    code, said = magnetar(*here, *trusted, "--auth-plugin", TOKEN, "--auth-params", f"token:{token_of('stranger')}")
    assert code == 1
    assert "not authorized" in said
    code, said = magnetar(*here, "--token-file", str(file))
    assert code == 3
    assert "CERTIFICATE_VERIFY_FAILED" in said


def test_a_client_conf_says_who_asks(door: Secured, tmp_path: Path) -> None:
    """That of Pulsar's tools is enough to create a function and see it run."""
    conf = tmp_path / "client.conf"
    conf.write_text(
        f"webServiceUrl={door.url}\nauthPlugin={TOKEN}\nauthParams=token:{token_of('root')}\n"
        f"tlsTrustCertsFilePath={door.authority.certificate}\ntlsEnableHostnameVerification=true\n"
    )
    code = tmp_path / "exclaim.py"
    code.write_text("def process(input):\n    return input + '!'\n")
    given = ("--py", str(code), "--classname", "exclaim", "--inputs", "in", "--name", "f", "--wait")
    done, said = magnetar("functions", "create", *given, PULSAR_CLIENT_CONF=str(conf))
    assert done == 0, said
    done, said = magnetar("functions", "status", "f", "--format", "json", PULSAR_CLIENT_CONF=str(conf))
    assert json.loads(said)["numRunning"] == 1


def test_the_broker_s_api_and_the_ports_beside_it_are_closed_too(door: Secured) -> None:
    """What is handed on to the broker wants a super user; metrics want someone; probes are for all."""
    addresses = door.worker.addresses
    assert httpx.get(f"{addresses['http']}/admin/v3/functions/public/default", trust_env=False).status_code == 401
    context = ssl.create_default_context(cafile=door.authority.certificate)
    with httpx.Client(base_url=door.url, verify=context, trust_env=False, timeout=30) as http:
        asked = "/admin/v2/tenants"
        root, stranger = ({"Authorization": f"Bearer {token_of(role)}"} for role in ("root", "stranger"))
        assert http.get(asked).status_code == 401
        assert http.get(asked, headers=stranger).status_code == 401
        assert http.get(asked, headers=root).json() == ["public"]
        assert http.get("/lookup/v2/topic/persistent/public/default/t", headers=stranger).status_code == 401
        metrics = addresses["metrics"]
        assert http.get(metrics).status_code == 401
        assert "pulsar_function_worker" in http.get(metrics, headers=stranger).text
        assert http.get(metrics.replace("/metrics", "/livez")).status_code == 200
        assert http.get(metrics.replace("/metrics", "/readyz")).status_code == 200
