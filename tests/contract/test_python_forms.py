"""The examples of Python's own forms through the whole server, in processes and in threads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulsar
import pytest
import yaml
from instance_process import until
from standalone import Standalone, standalone

EXAMPLES = Path(__file__).parents[2] / "examples/python"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("forms") / "data") as made:
        yield made


@pytest.fixture(params=["process", "thread"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def create(worker: Standalone, example: str, runtime: str) -> dict[str, Any]:
    """Create an example's function on topics of its own; returns the config that is asked back."""
    config = yaml.safe_load((EXAMPLES / f"{example}.yml").read_text())
    name = f"{config['name']}-{runtime}"
    config |= {"inputs": [f"{name}-in"], "output": f"{name}-out"}
    options = json.loads(config.get("customRuntimeOptions", '{"magnetar": {}}'))
    config["customRuntimeOptions"] = json.dumps({"magnetar": {**options["magnetar"], "runtime": runtime}})
    code = (EXAMPLES / config["py"]).read_text()
    answer = worker.create(name, code, config, file=config["py"])
    assert answer.status_code == 204, answer.text
    kept: dict[str, Any] = worker.http.get(f"/admin/v3/functions/public/default/{name}").json()
    return kept


def results(worker: Standalone, name: str, inputs: list[bytes], count: int, **properties: Any) -> list[pulsar.Message]:
    """Send inputs and return so many results, in their order."""
    consumer = worker.client.subscribe(f"{name}-out", "test", initial_position=pulsar.InitialPosition.Earliest)
    producer = worker.client.create_producer(f"{name}-in")
    for each in inputs:
        producer.send(each, **properties)
    found = [consumer.receive(60_000) for _ in range(count)]
    consumer.close()
    return found


def test_async_functions_keep_the_order(worker: Standalone, runtime: str) -> None:
    """examples/python/enrich: what it returns is there in the order of the inputs, and its own bound is kept."""
    kept = create(worker, "enrich", runtime)
    assert kept["maxPendingAsyncRequests"] == 100
    words = [b"one", b"three", b"seventeen"] * 20
    found = results(worker, f"enrich-{runtime}", words, len(words))
    assert [message.data() for message in found] == [b"%s: %d" % (word, len(word)) for word in words]


def test_batches_answer_each_message(worker: Standalone, runtime: str) -> None:
    """examples/python/totals: an order that can't be read fails alone."""
    create(worker, "totals", runtime)
    orders = [b'{"a": 1, "b": 2}', b"no order", b'{"c": 5}']
    found = results(worker, f"totals-{runtime}", orders, 2, partition_key="k")
    assert [(message.data(), message.partition_key()) for message in found] == [(b"3", "k"), (b"5", "k")]
    status = worker.http.get(f"/admin/v3/functions/public/default/totals-{runtime}/status").json()
    assert status["instances"][0]["status"]["numUserExceptions"] == 1


def test_what_fails_is_tried_again_later(worker: Standalone, runtime: str) -> None:
    """examples/python/flaky: through the retry letter topic, whose subscription goes with the function."""
    create(worker, "flaky", runtime)
    name = f"flaky-{runtime}"
    assert results(worker, name, [b"x"], 1)[0].data() == b"x at last"
    letters = f"/admin/v2/persistent/public/default/{name}-in-public-default-{name}-RETRY/subscriptions"
    assert worker.http.get(letters).json() == [f"public/default/{name}"]
    assert worker.http.delete(f"/admin/v3/functions/public/default/{name}").status_code == 204
    until(lambda: worker.http.get(letters).json(), lambda left: left == [])


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"retainOrdering": True}, "keeps no order"),
        ({"customRuntimeOptions": '{"magnetar": {"retry": {"initialDelay": 5}}}'}, "initialDelayMs"),
        ({"customRuntimeOptions": '{"magnetar": {"retry": {"multiplier": 0.5}}}'}, "multiplier"),
    ],
    ids=["order", "unknown", "value"],
)
def test_letters_that_can_not_be_are_refused(worker: Standalone, config: dict[str, Any], named: str) -> None:
    """At create, by name."""
    given = {"customRuntimeOptions": '{"magnetar": {"retry": {}}}', "inputs": ["no-in"], **config}
    answer = worker.create("no", "def process(input):\n    pass\n", given)
    assert answer.status_code == 400
    assert named in answer.json()["reason"]


def test_windows_by_event_time(worker: Standalone, runtime: str) -> None:
    """examples/python/mean: a minute's readings make one result, and the config is given back as it was."""
    kept = create(worker, "mean", runtime)
    assert (kept["className"], kept["windowConfig"]["windowLengthDurationMs"]) == ("mean.Mean", 60_000)
    name, producer = f"mean-{runtime}", worker.client.create_producer(f"mean-{runtime}-in")
    consumer = worker.client.subscribe(f"{name}-out", "test", initial_position=pulsar.InitialPosition.Earliest)
    for value, at in ((b"3", 70_000), (b"1", 68_000), (b"100", 130_000)):
        producer.send(value, event_timestamp=at)
    message = consumer.receive(60_000)
    assert (message.data(), message.properties()["count"], message.event_timestamp()) == (b"2.0", "2", 70_000)


@pytest.mark.parametrize(
    ("window", "named"),
    [
        ({"windowLengthCount": 5, "lateDataTopic": "late"}, "lateDataTopic needs event time"),
        ({"windowLengthCount": 5, "slidingIntervalCount": 2, "slidingIntervalDurationMs": 9}, "count and as duration"),
        ({}, "Window length is not specified"),
    ],
    ids=["late", "intervals", "length"],
)
def test_windows_that_can_not_be_are_refused(worker: Standalone, window: dict[str, Any], named: str) -> None:
    """At create, by name: nothing of a window is ignored."""
    answer = worker.create("no", "def process(input):\n    pass\n", {"inputs": ["no-in"], "windowConfig": window})
    assert answer.status_code == 400
    assert named in answer.json()["reason"]


SPANS = """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())


def process(input):
    return format(trace.get_current_span().get_span_context().span_id, "016x")
"""


def test_spans_in_a_thread(tmp_path: Path) -> None:
    """A call has a span of the input's trace, which its output carries on; the worker is its own, as the provider is."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    with standalone(tmp_path / "data") as worker:
        options = json.dumps({"magnetar": {"runtime": "thread"}})
        config = {"inputs": ["spans-in"], "output": "spans-out", "customRuntimeOptions": options}
        config["subscriptionPosition"] = "Earliest"
        assert worker.create("spans", SPANS, config).status_code == 204
        consumer = worker.client.subscribe("spans-out", "test")
        parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        worker.client.create_producer("spans-in").send(b"x", properties=parent)
        received = consumer.receive(60_000)
        span = received.data().decode()
        assert span != "b7ad6b7169203331"
        assert received.properties()["traceparent"] == f"00-{trace}-{span}-01"
