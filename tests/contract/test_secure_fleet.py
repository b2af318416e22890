"""Two workers that speak to each other over TLS, in the worker's own name, at a broker that wants to know who asks."""

import json
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
from certificates import Authority
from magnetar.config import load_config
from magnetar.config.security_keys import TOKEN_PROVIDER
from magnetar.runtimes.handover import TOKEN_PLUGIN
from magnetar.server import Server
from magnetar_broker.testing import RunningBroker, running_broker
from secured import SECRET, tls_keys, token_of

BASE = "/admin/v3/functions/public/default"


def keys(name: str, broker: RunningBroker, folder: Path, authority: Authority) -> dict[str, Any]:
    return {
        **tls_keys(authority, name),
        "workerId": name,
        "workerHostname": "localhost",
        "tlsEnableHostnameVerification": True,
        "pulsarServiceUrl": broker.service_url,
        "pulsarWebServiceUrl": broker.admin_url,
        "downloadDirectory": str(folder / name / "downloads"),
        "functionRuntimeFactoryConfigs": {"logDirectory": str(folder / name / "logs")},
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER],
        "superUserRoles": ["worker"],
        "properties": {"tokenSecretKey": str(folder / "secret.key")},
        "brokerClientAuthenticationPlugin": TOKEN_PLUGIN,
        "brokerClientAuthenticationParameters": f"token:{token_of('worker')}",
        "magnetar": {
            "dataDirectory": str(folder / name / "data"),
            "bindAddress": "127.0.0.1",
            "healthPort": 0,
            "metricsPort": 0,
            "zygote": False,
        },
    }


async def test_workers_ask_each_other_in_their_own_name(tmp_path: Path) -> None:
    """Whoever may use a namespace creates through either worker and sees the instances of both."""
    authority = Authority(tmp_path)
    (tmp_path / "secret.key").write_bytes(SECRET)
    context = ssl.create_default_context(cafile=authority.certificate)
    as_worker, as_user = ({"Authorization": f"Bearer {token_of(role)}"} for role in ("worker", "user"))
    with (
        running_broker(arguments=["--token-secret-key", str(tmp_path / "secret.key")]) as broker,
        anyio.fail_after(100),
    ):
        async with AsyncExitStack() as stack:
            clients = []
            for name in ("one", "two"):
                server = await stack.enter_async_context(
                    Server(load_config(None, keys(name, broker, tmp_path, authority)))
                )
                assert server.addresses.http is None
                url = str(server.addresses.https).replace("127.0.0.1", "localhost")
                client = httpx.AsyncClient(base_url=url, verify=context, headers=as_user, timeout=30, trust_env=False)
                clients.append(await stack.enter_async_context(client))
            admin = await stack.enter_async_context(httpx.AsyncClient(base_url=broker.admin_url, headers=as_worker))
            granted = await admin.post("/admin/v2/namespaces/public/default/permissions/user", json=["functions"])
            granted.raise_for_status()
            for number, client in enumerate(clients):
                config = {"runtime": "PYTHON", "className": "f", "inputs": [f"in-{number}"], "parallelism": 2}
                code = ("f.py", b"def process(input): return input\n")
                parts = {"functionConfig": (None, json.dumps(config)), "data": code}
                answer = await client.post(f"{BASE}/f{number}", files=parts)
                assert answer.status_code == 204, answer.text
            for client in clients:
                while True:
                    status = (await client.get(f"{BASE}/f0/status")).json()
                    if status.get("numRunning") == 2:
                        break
                workers = {each["status"]["workerId"] for each in status["instances"]}
                assert workers == {"one", "two"}
                assert (await client.get("/admin/v2/worker/cluster")).status_code == 401
                cluster = (await client.get("/admin/v2/worker/cluster", headers=as_worker)).json()
                assert {each["workerId"] for each in cluster} == {"one", "two"}
