"""Who may ask what of a real API: every route, by roles that the broker keeps."""

import base64
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pytest
from magnetar.access import Authentication, Authorization
from magnetar.access.policies import REMEMBERED, BrokerPolicies
from magnetar.access.providers import TokenProvider
from magnetar.broker_admin import BrokerAdmin
from magnetar.errors import RequestError
from magnetar_broker.testing import RunningBroker
from rest_fleet import FleetWorker, fleet_worker

pytestmark = pytest.mark.anyio
SECRET = b"0123456789abcdef0123456789abcdef"
FOR_EVERYONE = {
    "/admin/v3/functions/connectors",
    "/magnetar/v1/instances",
    "/magnetar/v1/schema/function",
    "/version",
    "/initialized",
    "/metrics",
}
FOR_SUPER_USERS = ("/admin/v2/worker", "/admin/worker", "/admin/v3/functions/upload", "/admin/v3/functions/builtins")
numbers = count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """Time that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def judged(pulsar_broker: RunningBroker, tmp_path: Path) -> AsyncIterator[tuple[FleetWorker, Clock]]:
    clock, proxies = Clock(), frozenset({"proxy"})

    def judge(admin: BrokerAdmin) -> Authorization:
        return Authorization(frozenset({"root", "proxy"}), proxies, BrokerPolicies(admin, clock))

    known = Authentication([TokenProvider({"tokenSecretKey": base64.b64encode(SECRET).decode()})], proxies=proxies)
    space = f"public/rest-access-{next(numbers)}"
    async with fleet_worker(pulsar_broker, space, "one", tmp_path, authentication=known, judge=judge) as worker:
        with anyio.fail_after(60):
            while not worker.coordination.is_leader:
                await worker.coordination.changed(worker.coordination.generation)
        yield worker, clock


def as_role(role: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode({'sub': role}, SECRET, 'HS256')}", **more}


async def routes(worker: FleetWorker) -> list[tuple[str, str, str]]:
    """Return method, template and a path of everything in the OpenAPI document."""
    document = (await worker.http.get("/openapi.json", headers=as_role("anyone"))).json()
    found = []
    for template, methods in document["paths"].items():
        path = template
        for name, value in {"id": "0", "key": "k"}.items():
            path = path.replace(f"{{{name}}}", value)
        path = path.replace("{", "").replace("}", "") + "?path=a/b/c/d&workerId=w"
        found += [(method.upper(), template, path) for method in methods]
    assert len(found) > 40
    return found


async def test_every_route_wants_to_know_who_asks_and_whether_they_may(judged: tuple[FleetWorker, Clock]) -> None:
    """Without a token, with a bad one and as a stranger: 401 with a reason, for all but what belongs to no tenant."""
    worker, _ = judged
    for method, template, path in await routes(worker):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}):
            answer = await worker.http.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.json()["reason"].startswith("Authentication required: "), (method, path)
        answer = await worker.http.request(method, path, headers=as_role("stranger"))
        if template in FOR_EVERYONE:
            assert answer.status_code == 200, (method, path)
        else:
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.json()["reason"].startswith("Client is not authorized to perform operation: ")
        if template.startswith(FOR_SUPER_USERS):
            assert "no super user" in answer.json()["reason"]


async def test_a_route_that_does_not_exist_tells_strangers_nothing(judged: tuple[FleetWorker, Clock]) -> None:
    """401 comes before 404 and 405, and the page of the API is behind the door, too."""
    worker, _ = judged
    for path in ("/nothing", "/docs", "/openapi.json", "//metrics", "/admin/v3/sources/t/n", "/admin/v3/functions"):
        assert (await worker.http.get(path)).status_code == 401, path
    assert (await worker.http.get("/nothing", headers=as_role("stranger"))).status_code == 404


async def test_roles_come_from_the_broker(judged: tuple[FleetWorker, Clock]) -> None:
    """A tenant's administrator and a role with the permission `functions` may use functions; both may lose it again."""
    worker, clock = judged
    admin = httpx.AsyncClient(base_url=worker.admin.url, timeout=30)
    tenant = f"acme{next(numbers)}"
    spaces = f"/admin/v2/namespaces/{tenant}/n"
    body = {"allowedClusters": ["standalone"], "adminRoles": ["boss"]}
    async with admin:
        (await admin.put(f"/admin/v2/tenants/{tenant}", json=body)).raise_for_status()
        (await admin.put(spaces)).raise_for_status()
        (await admin.post(f"{spaces}/permissions/worker", json=["functions"])).raise_for_status()
        (await admin.post(f"{spaces}/permissions/sender", json=["produce", "consume"])).raise_for_status()

        async def statuses(space: str = "n", **headers: str) -> dict[str, int]:
            roles = ("root", "boss", "worker", "sender")
            path = f"/admin/v3/functions/{tenant}/{space}"
            return {r: (await worker.http.get(path, headers=as_role(r, **headers))).status_code for r in roles}

        assert await statuses() == {"root": 200, "boss": 200, "worker": 200, "sender": 401}
        assert await statuses("other") == {"root": 200, "boss": 200, "worker": 401, "sender": 401}
        assert await statuses(**{"X-Original-Principal": "root"}) == {
            "root": 200, "boss": 401, "worker": 401, "sender": 401,
        }  # fmt: skip
        proxied = as_role("proxy", **{"X-Original-Principal": "worker"})
        assert (await worker.http.get(f"/admin/v3/functions/{tenant}/n", headers=proxied)).status_code == 200
        assert (await worker.http.get("/admin/v2/worker/cluster", headers=proxied)).status_code == 401
        (await admin.delete(f"{spaces}/permissions/worker")).raise_for_status()
        (await admin.post(f"/admin/v2/tenants/{tenant}", json={**body, "adminRoles": []})).raise_for_status()
        clock.now += REMEMBERED
        assert await statuses() == {"root": 200, "boss": 401, "worker": 401, "sender": 401}
        kept = f"/admin/v3/functions/download?path={tenant}/n/f/0"
        for path in (kept, kept.replace("/0", "/0/1"), "/admin/v3/functions/download?path=../../etc/passwd"):
            assert (await worker.http.get(path, headers=as_role("worker"))).status_code == 401, path


async def test_a_list_of_all_shows_what_the_caller_may_see(judged: tuple[FleetWorker, Clock]) -> None:
    """Instances of other tenants are left out."""
    worker, _ = judged
    worker.http.headers.update(as_role("root"))
    assert (await worker.create("seen")).status_code == 204
    with anyio.fail_after(60):
        while not worker.supervisor.views():
            await worker.supervisor.changed(worker.supervisor.generation)
    assert len((await worker.http.get("/magnetar/v1/instances")).json()) == 1
    assert (await worker.http.get("/magnetar/v1/instances", headers=as_role("stranger"))).json() == []


class Refusing:
    """A broker that refuses to tell."""

    async def tenant_administrators(self, tenant: str) -> Any:
        raise RequestError(f"no word about {tenant}")


async def test_names_that_lead_elsewhere_and_silence_grant_nothing() -> None:
    """A tenant called `..` is not asked for; a broker that does not tell makes the request fail."""
    policies = BrokerPolicies(Refusing())  # type: ignore[arg-type]
    assert await policies.administrators("..") == frozenset()
    assert await policies.administrators("a/b") == frozenset()
    assert await policies.permitted("t", ".", "functions") == frozenset()
    with pytest.raises(RequestError):
        await policies.administrators("t")


async def test_other_origins_are_refused_whoever_asks(judged: tuple[FleetWorker, Clock]) -> None:
    """A page that a browser shows can't drive the worker with the reader's credentials."""
    worker, _ = judged
    path = "/admin/v3/functions/public/default/f"
    for method, headers in (
        ("POST", {"Origin": "https://evil.example"}),
        ("DELETE", {"Origin": "null"}),
        ("GET", {"Host": "evil.example"}),
    ):
        answer = await worker.http.request(method, path, headers=as_role("root", **headers))
        assert answer.status_code == 403, (method, headers)
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await worker.http.options(path, headers=as_role("root", **preflight))
    assert not [name for name in answer.headers if name.startswith("access-control-")]
