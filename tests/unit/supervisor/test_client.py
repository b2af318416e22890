import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from magnetar.client import RefusedByWorkerError, UnreachableError, WorkerClient
from magnetar.credentials import BrokerCredentials
from magnetar.model.function import FunctionConfig
from magnetar.model.names import FunctionName
from magnetar.web import bind, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

NAME = FunctionName("t", "n", "f")
FUNCTION = "/admin/v3/functions/t/n/f"


class Worker:
    """A real HTTP server that answers as told and keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.authorizations: list[str | None] = []
        self.answers: dict[str, Any] = {}

    async def answer(self, request: Request) -> Response:
        self.authorizations.append(request.headers.get("authorization"))
        parts: dict[str, Any] = dict(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form() as form:
                for key, value in form.items():
                    parts[key] = value if isinstance(value, str) else hashlib.sha256(await value.read()).hexdigest()
        self.asked.append((request.method, request.url.path, parts))
        answer = self.answers.get(request.url.path, Response(status_code=204))
        return answer if isinstance(answer, Response) else JSONResponse(answer)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
async def workers() -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers of a fleet, on loopback."""
    async with AsyncExitStack() as stack:
        found = (Worker(), Worker())
        for worker in found:
            app = Starlette(routes=[Route("/{path:path}", worker.answer, methods=["GET", "POST", "PUT", "DELETE"])])
            port = await stack.enter_async_context(serve(app, bind("port", "127.0.0.1", 0)))
            worker.url = f"http://127.0.0.1:{port}"
        yield found


async def test_create_sends_config_and_package_as_pulsars_client(
    workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    """The config is one part, the file another, streamed and counted; warnings come back."""
    worker, _ = workers
    worker.answers[FUNCTION] = Response(status_code=204, headers={"X-Magnetar-Warning": "unknown key 'x'"})
    package = tmp_path / "f.py"
    package.write_bytes(b"x" * 300_000)
    told: list[tuple[int, int]] = []
    warnings: list[str] = []
    async with WorkerClient(worker.url, warn=warnings.append) as client:
        await client.functions.create(
            {"tenant": "t", "namespace": "n", "name": "f", "x": 1},
            file=package,
            progress=lambda done, total: told.append((done, total)),
        )
    ((method, path, parts),) = worker.asked
    assert (method, path) == ("POST", FUNCTION)
    assert json.loads(parts["functionConfig"])["x"] == 1
    assert parts["data"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert warnings == ["unknown key 'x'"]
    assert told[-1] == (300_000, 300_000)
    assert len(told) > 2


async def test_update_tells_its_options_and_a_url_instead_of_a_file(workers: tuple[Worker, Worker]) -> None:
    """A URL is a part of its own; the options of an update always go along."""
    worker, _ = workers
    config = FunctionConfig(tenant="t", namespace="n", name="f", parallelism=2)
    async with WorkerClient(worker.url) as client:
        await client.functions.update(config, url="http://h/f.py", update_auth_data=True)
    ((method, _, parts),) = worker.asked
    assert (method, parts["url"]) == ("PUT", "http://h/f.py")
    assert json.loads(parts["updateOptions"]) == {"updateAuthData": True}
    assert json.loads(parts["functionConfig"])["parallelism"] == 2


async def test_a_redirected_upload_goes_whole_and_with_credentials_to_the_other_worker(
    workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    """Workers send writes on to their leader with 307, as Pulsar's do."""
    worker, leader = workers
    worker.answers[FUNCTION] = RedirectResponse(leader.url + FUNCTION, 307)
    package = tmp_path / "f.py"
    package.write_bytes(b"y" * 100_000)
    credentials = BrokerCredentials("token", "token:secret")
    config = {"tenant": "t", "namespace": "n", "name": "f"}
    async with WorkerClient(worker.url, credentials) as client:
        await client.functions.create(config, file=package, progress=lambda _done, _total: None)
    assert leader.asked[0][2]["data"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert leader.authorizations == ["Bearer secret"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (JSONResponse({"reason": "Function f doesn't exist"}, 404), "Function f doesn't exist"),
        (PlainTextResponse("broken\nmore", 500), "broken"),
        (Response("<html>…</html>", 401, media_type="text/html"), "Unauthorized"),
        (Response(status_code=503), "Service Unavailable"),
    ],
)
async def test_a_refusal_has_the_workers_own_reason(
    workers: tuple[Worker, Worker], answer: Response, reason: str
) -> None:
    """Pulsar's error body is read; other bodies give their first line or the status's name."""
    worker, _ = workers
    worker.answers[FUNCTION] = answer
    async with WorkerClient(worker.url) as client:
        with pytest.raises(RefusedByWorkerError) as caught:
            await client.functions.get(NAME)
    assert (caught.value.status, caught.value.reason) == (answer.status_code, reason)


async def test_nobody_there_is_told_with_the_address() -> None:
    """A silent address is an error of its own."""
    async with WorkerClient("http://127.0.0.1:1") as client:
        with pytest.raises(UnreachableError, match=re.escape("http://127.0.0.1:1")):
            await client.functions.get(NAME)


async def test_a_worker_that_breaks_off_is_unreachable(tmp_path: Path) -> None:
    """An answer cut short is no answer, and no file is left that looks whole."""

    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with WorkerClient(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(UnreachableError):
                await client.functions.download(tmp_path / "f.py", name=NAME)
    assert files(tmp_path) == []


async def test_status_is_typed_and_nulls_are_absence(workers: tuple[Worker, Worker]) -> None:
    """Pulsar's worker spells absence as null."""
    worker, _ = workers
    data = {"running": True, "error": None, "latestUserExceptions": None, "numReceived": 3, "workerId": "w", "new": 1}
    status = {"numInstances": 1, "numRunning": 1, "instances": [{"instanceId": 0, "status": data}]}
    worker.answers |= {f"{FUNCTION}/status": status, f"{FUNCTION}/0/status": data}
    async with WorkerClient(worker.url) as client:
        whole = await client.functions.status(NAME)
        one = await client.functions.instance_status(NAME, 0)
    assert (whole.num_running, whole.instances[0].status.num_received) == (1, 3)
    assert (one.running, one.error, one.worker_id) == (True, "", "w")


@pytest.mark.parametrize("spelling", ["1min", "oneMin"])
async def test_stats_are_typed_with_the_minute_under_either_name(workers: tuple[Worker, Worker], spelling: str) -> None:
    """Pulsar says `1min`, other tools say `oneMin`."""
    worker, _ = workers
    data = {"receivedTotal": 5, "avgProcessLatency": None, spelling: {"receivedTotal": 2}, "userMetrics": {"m": 1.0}}
    worker.answers |= {
        f"{FUNCTION}/stats": {**data, "instances": [{"instanceId": 1, "metrics": data}]},
        "/admin/v2/worker-stats/functionsmetrics": [{"name": "t/n/f:1", "metrics": data}],
    }
    async with WorkerClient(worker.url) as client:
        stats = await client.functions.stats(NAME)
        (local,) = await client.workers.function_stats()
    assert (stats.received_total, stats.one_min.received_total, stats.instances[0].instance_id) == (5, 2, 1)
    assert (local.name, local.metrics.user_metrics) == ("t/n/f:1", {"m": 1.0})


async def test_the_fleet_is_typed(workers: tuple[Worker, Worker]) -> None:
    """Members, leader and assignments."""
    worker, _ = workers
    info = {"workerId": "w", "workerHostname": "h", "port": 1}
    worker.answers |= {
        "/admin/v2/worker/cluster": [info],
        "/admin/v2/worker/cluster/leader": info,
        "/admin/v2/worker/assignments": {"w": ["t/n/f:0"]},
    }
    async with WorkerClient(worker.url) as client:
        assert [each.worker_id for each in await client.workers.cluster()] == ["w"]
        assert (await client.workers.leader()).port == 1
        assert await client.workers.assignments() == {"w": ["t/n/f:0"]}
        await client.workers.drain("w2")
    assert worker.asked[-1] == ("PUT", "/admin/v2/worker/leader/drain", {"workerId": "w2"})


async def test_names_are_quoted_in_paths(workers: tuple[Worker, Worker]) -> None:
    """A name with a slash stays one part of the path."""
    worker, _ = workers
    async with WorkerClient(worker.url) as client:
        await client.functions.stop(FunctionName("t", "n", "a b"), 3)
    assert worker.asked == [("POST", "/admin/v3/functions/t/n/a b/3/stop", {})]


async def test_a_log_is_read_and_followed(workers: tuple[Worker, Worker]) -> None:
    """The last lines at once; then each line as it comes, past comments and pauses."""
    worker, _ = workers

    async def events() -> AsyncIterator[str]:
        yield ': hello\n\ndata: {"instanceId": 0, "line": "one"}\n\n'
        await asyncio.sleep(0)
        yield 'event: line\ndata: {"instanceId": 1, "line": "zwölf"}\n\n'

    path = "/magnetar/v1/logs/t/n/f"
    worker.answers[path] = [{"instanceId": 0, "line": "old"}]
    async with WorkerClient(worker.url) as client:
        assert [line.line for line in await client.magnetar.log(NAME, tail=5)] == ["old"]
        worker.answers[path] = StreamingResponse(events(), media_type="text/event-stream")
        followed = [line async for line in client.magnetar.follow(NAME, instance=1, tail=2)]
    assert [(line.instance_id, line.line) for line in followed] == [(0, "one"), (1, "zwölf")]
    assert worker.asked[-1][2] == {"tail": "2", "instance": "1", "follow": "true"}


async def test_files_go_up_and_come_down(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    """A stored file has a path; a download is counted."""
    worker, _ = workers
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"z" * 10)
    worker.answers["/admin/v3/functions/download"] = Response(b"z" * 10)
    told: list[tuple[int, int]] = []
    async with WorkerClient(worker.url) as client:
        await client.functions.upload(source, "t/n/a", lambda _done, _total: None)
        await client.functions.download(target, path="t/n/a", progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == source.read_bytes()
    assert told == [(10, 10)]
    assert [asked[2]["path"] for asked in worker.asked] == ["t/n/a", "t/n/a"]


async def test_trigger_sends_a_text_or_a_file(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    """What comes out is returned as text."""
    worker, _ = workers
    worker.answers[f"{FUNCTION}/trigger"] = PlainTextResponse("out!")
    (tmp_path / "in").write_bytes(b"in")
    async with WorkerClient(worker.url) as client:
        assert await client.functions.trigger(NAME, value="in", topic="a") == "out!"
        assert await client.functions.trigger(NAME, file=tmp_path / "in") == "out!"
    assert worker.asked[0][2] == {"data": "in", "topic": "a"}
    assert worker.asked[1][2] == {"dataStream": hashlib.sha256(b"in").hexdigest()}


async def test_state_is_read_and_put(workers: tuple[Worker, Worker]) -> None:
    """A key may hold a slash; a value goes as Pulsar's client sends it."""
    worker, _ = workers
    worker.answers[f"{FUNCTION}/state/k"] = {"key": "k", "stringValue": "v", "numberValue": None, "version": 1}
    async with WorkerClient(worker.url) as client:
        assert await client.functions.state(NAME, "k") == {"key": "k", "stringValue": "v", "version": 1}
        worker.answers.clear()
        await client.functions.put_state(NAME, {"key": "a/b", "stringValue": "v"})
    assert worker.asked[-1][1] == f"{FUNCTION}/state/a/b"
    assert json.loads(worker.asked[-1][2]["state"]) == {"key": "a/b", "stringValue": "v"}
