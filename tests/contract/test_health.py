import json
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest
from magnetar_instance.proto.health import HealthCheckRequest, HealthCheckResponse
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from standalone import Standalone, standalone

ECHO = "def process(input):\n    return input\n"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
Check = Callable[[str], HealthCheckResponse]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("health") / "data") as made:
        for name, runtime in (("in-process", "process"), ("in-thread", "thread")):
            options = json.dumps({"magnetar": {"runtime": runtime}})
            config = {"inputs": [f"{name}-in"], "parallelism": 2, "customRuntimeOptions": options}
            assert made.create(name, ECHO, config).status_code == 204
        yield made


@pytest.fixture
def channel(worker: Standalone) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(worker.addresses["health"], options=[("grpc.enable_http_proxy", 0)]) as made:
        yield made


def watch(channel: grpc.Channel, service: str) -> Iterator[HealthCheckResponse]:
    call = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    return iter(call(HealthCheckRequest(service=service), timeout=30))


def check(channel: grpc.Channel, service: str) -> int:
    call = channel.unary_unary(
        "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    return int(call(HealthCheckRequest(service=service), timeout=10).status)


def until(channel: grpc.Channel, service: str, wanted: int) -> None:
    """Return once a service is in a state; Watch tells of every change."""
    for answer in watch(channel, service):
        if answer.status == wanted:
            return
    raise AssertionError(f"{service} never was {wanted}")


@pytest.mark.parametrize("name", ["in-process", "in-thread"])
def test_functions_and_instances_have_names_of_their_own(channel: grpc.Channel, name: str) -> None:
    """The worker, a function and each of its instances are told apart and serve once subscribed."""
    until(channel, f"public/default/{name}", SERVING)
    assert check(channel, "") == SERVING
    assert check(channel, f"public/default/{name}/0") == SERVING
    assert check(channel, f"public/default/{name}/1") == SERVING


def test_an_unknown_name_is_not_found(channel: grpc.Channel) -> None:
    """A name that nobody has is an error, not a state."""
    with pytest.raises(grpc.RpcError) as caught:
        check(channel, "public/default/nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_stopped_function_does_not_serve(worker: Standalone, channel: grpc.Channel) -> None:
    """Stop and start are seen by whoever watches, at once."""
    service = "public/default/in-process"
    until(channel, service, SERVING)
    assert worker.http.post(f"/admin/v3/functions/{service}/stop").status_code == 204
    until(channel, service, NOT_SERVING)
    assert worker.http.post(f"/admin/v3/functions/{service}/start").status_code == 204
    until(channel, service, SERVING)


def test_one_exposition_holds_the_worker_and_all_instances(worker: Standalone, channel: grpc.Channel) -> None:
    """Prometheus gets each family once, with Pulsar's names, and no series twice."""
    for name in ("in-process", "in-thread"):
        until(channel, f"public/default/{name}", SERVING)
    text = httpx.get(worker.addresses["metrics"]).text
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    series = [(s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples]
    assert len(series) == len(set(series))
    received = [s for family in families for s in family.samples if s.name == "pulsar_function_received_total"]
    assert {(s.labels["fqfn"], s.labels["instance_id"]) for s in received} >= {
        (f"public/default/{name}", instance) for name in ("in-process", "in-thread") for instance in "01"
    }
    assert "pulsar_function_worker_instance_count" in text


def test_openmetrics_is_served_to_who_prefers_it(worker: Standalone) -> None:
    """Prometheus' own header gets what a strict parser reads, on the port for metrics and from the admin API."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    for url in (worker.addresses["metrics"], f"{worker.http.base_url}/metrics"):
        answer = httpx.get(url, headers=accept)
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in openmetrics_families(answer.text)}
        assert {"pulsar_function_worker_instance_count", "pulsar_function_received"} <= names
        assert httpx.get(url).headers["content-type"].startswith("text/plain; version=0.0.4")


def test_probes_tell_of_life_and_readiness(worker: Standalone) -> None:
    """Both answer 200 on a worker that is ready."""
    base = worker.addresses["metrics"].removesuffix("/metrics")
    assert httpx.get(f"{base}/livez").status_code == 200
    ready = httpx.get(f"{base}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "waitingFor": {}})
