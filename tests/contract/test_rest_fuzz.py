"""Nonsense over REST: whatever comes, the answer is a reason and never a defect."""

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from magnetar.model.function import FunctionConfig, spellings
from magnetar_broker.testing import RunningBroker
from rest_fleet import FleetWorker, fleet_worker

pytestmark = pytest.mark.anyio
BASE = "/admin/v3/functions"
numbers = count()
many = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def worker(
    pulsar_broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[FleetWorker]:
    directory: Path = tmp_path_factory.mktemp("fuzz")
    async with fleet_worker(pulsar_broker, "public/rest-fuzz", "one", directory, trigger_timeout=0.05) as running:
        while not running.coordination.is_leader:
            await running.coordination.changed(running.coordination.generation)
        assert (await running.create("known")).status_code == 204
        yield running


def is_told(answer: httpx.Response) -> None:
    """Assert that an answer is no defect, and that a refusal says why."""
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["reason"]


names = st.one_of(
    st.text(min_size=1),
    st.sampled_from(["..", ".", "%2e%2e", "known", "a/b", "\0", "x" * 5000, "a b", "é", "{name}", "persistent://x"]),
)
verbs = st.sampled_from(
    [
        "",
        "/status",
        "/stats",
        "/0/status",
        "/-1/status",
        "/99999999999999999999/stats",
        "/download",
        "/start",
        "/stop",
        "/restart",
        "/0/restart",
        "/trigger",
        "/state/k",
        "/0/start",
        "/nan/stop",
        "/x/y/z",
    ]
)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])


@many
@given(method=methods, tenant=names, namespace=names, name=names, verb=verbs)
async def test_names(worker: FleetWorker, method: str, tenant: str, namespace: str, name: str, verb: str) -> None:
    """Any name in any place of the path."""
    path = "/".join(quote(each.encode(errors="replace"), safe="") for each in (tenant, namespace, name))
    answer = await worker.http.request(method, f"{BASE}/{path}{verb}")
    if method != "HEAD":
        is_told(answer)
    assert answer.status_code != 500


@many
@given(name=names)
async def test_names_of_new_functions(worker: FleetWorker, name: str) -> None:
    """A create under any name succeeds or says why not, and what was created can be read and deleted."""
    path = f"{BASE}/public/default/{quote(name.encode(errors='replace'), safe='')}"
    config = {"className": "f", "inputs": ["fuzz-in"], "output": "fuzz-out"}
    parts = {"functionConfig": (None, json.dumps(config)), "data": ("f.py", b"def process(input): return input\n")}
    answer = await worker.http.post(path, files=parts)
    is_told(answer)
    if answer.status_code == 204:
        assert (await worker.http.get(path)).status_code == 200
        assert (await worker.http.get(f"{path}/status")).status_code == 200
        assert (await worker.http.delete(path)).status_code == 204


keys = st.sampled_from(sorted({*spellings(FunctionConfig).values(), "isRegexPattern", "unknown"}))
words = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "a/b/c", "x" * 300, "{}", '{"magnetar": 1}', "\ud800", "persistent://public/default/x", "STRING"]
    ),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.sampled_from([2**70, -1, 0]))
values = st.recursive(
    leaves, lambda of: st.lists(of, max_size=3) | st.dictionaries(keys | st.text(max_size=5), of, max_size=3)
)
objects = st.dictionaries(words, values, max_size=3)
consumers = st.fixed_dictionaries(
    {},
    optional={
        "schemaType": words,
        "serdeClassName": words,
        "isRegexPattern": st.booleans(),
        "receiverQueueSize": st.integers(),
        "schemaProperties": st.dictionaries(words, words, max_size=2),
        "cryptoConfig": st.fixed_dictionaries(
            {}, optional={"cryptoKeyReaderClassName": words, "encryptionKeys": objects}
        ),
    },
)
plausible = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("className", "output", "logTopic", "subName", "deadLetterTopic", "batchBuilder"), words),
        **dict.fromkeys(("outputSerdeClassName", "outputSchemaType", "customRuntimeOptions", "runtimeFlags"), words),
        **dict.fromkeys(("parallelism", "timeoutMs", "maxMessageRetries", "maxPendingAsyncRequests"), st.integers(-1)),
        **dict.fromkeys(("autoAck", "retainOrdering", "retainKeyOrdering", "skipToLatest"), st.booleans()),
        **dict.fromkeys(("userConfig", "secrets"), objects),
        "resources": st.fixed_dictionaries(
            {}, optional={"cpu": st.floats(), "ram": st.integers(), "disk": st.integers()}
        ),
        "inputSpecs": st.dictionaries(words, consumers, max_size=2),
        "customSchemaInputs": st.dictionaries(words, words, max_size=2),
        "customSchemaOutputs": st.dictionaries(words, words, max_size=2),
        "windowConfig": st.fixed_dictionaries({}, optional={"windowLengthCount": st.integers()}),
        "runtime": st.sampled_from(["PYTHON", "JAVA", "GO"]),
        "processingGuarantees": st.sampled_from(["ATLEAST_ONCE", "ATMOST_ONCE", "EFFECTIVELY_ONCE", "MANUAL"]),
        "producerConfig": st.fixed_dictionaries(
            {}, optional={"maxPendingMessages": st.integers(), "compressionType": st.sampled_from(["LZ4", "no"])}
        ),
    },
)


@settings(many, max_examples=120)
@given(
    config=plausible | plausible | st.dictionaries(keys, values, max_size=6) | values,
    method=st.sampled_from(["POST", "PUT", "PLAN"]),
)
async def test_configs(worker: FleetWorker, config: Any, method: str) -> None:
    """Any JSON as a config, for create, update and plan."""
    if isinstance(config, dict) and method != "PUT":
        config = {"className": "f", "runtime": "PYTHON", "inputs": ["fuzz-in"], **config}
    name = "fuzzed" if method == "POST" else "known"
    path = f"/magnetar/v1/plan/public/default/{name}" if method == "PLAN" else f"{BASE}/public/default/{name}"
    parts = {"functionConfig": (None, json.dumps(config)), "data": ("f.py", b"def process(input): return input\n")}
    answer = await worker.http.request("POST" if method == "PLAN" else method, path, files=parts)
    is_told(answer)
    is_told(await worker.http.get(f"{BASE}/public/default/{name}"))
    if method == "POST" and answer.status_code == 204:
        await worker.http.delete(path)


@many
@given(
    content_type=st.sampled_from(["multipart/form-data; boundary=B", "multipart/form-data", "text/plain", ""]),
    body=st.binary(),
    file=st.text(),
)
async def test_forms(worker: FleetWorker, content_type: str, body: bytes, file: str) -> None:
    """Any bytes as a form, and any name of a file in one."""
    path = f"{BASE}/public/default/fuzzed"
    headers = {"Content-Type": content_type}
    for sent in (
        body,
        b"--B\r\n" + body,
        b"--B\r\nContent-Disposition: form-data; name=data\r\n\r\n" + body + b"\r\n--B--",
    ):
        is_told(await worker.http.post(path, content=sent, headers=headers))
        is_told(await worker.http.put(f"{BASE}/leader/public/default/known", content=sent, headers=headers))
    name = file.encode("utf-8", "replace").decode()
    parts = {"functionConfig": (None, "{}"), "data": (name or "x", body)}
    is_told(await worker.http.post(path, files=parts))


@many
@given(
    path=st.sampled_from(
        [
            "/magnetar/v1/logs/public/default/known",
            f"{BASE}/download",
            "/admin/v2/worker/cluster",
            f"{BASE}/public/default",
        ]
    ),
    query=st.dictionaries(
        st.sampled_from(["tail", "instance", "path", "x"]) | st.text(), st.text() | st.integers(), max_size=4
    ),
    header=st.sampled_from(
        ["Accept", "Content-Type", "Content-Length", "Origin", "X-Pulsar-Auth-Method-Name", "Range", "Cookie"]
    ),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip),
)
async def test_queries_and_headers(
    worker: FleetWorker, path: str, query: dict[str, Any], header: str, value: str
) -> None:
    """Any query and any header."""
    clean = {
        key.encode(errors="replace").decode(): str(each).encode(errors="replace").decode()
        for key, each in query.items()
    }
    if header == "Content-Length":
        value = "0"
    is_told(await worker.http.get(path, params=clean, headers={header: value}))
