"""What a Python function can ask for in its config, through the whole server."""

import json
from collections.abc import Iterator

import pulsar
import pytest
from pulsar.schema import JsonSchema, Record, String
from standalone import Standalone, standalone

ECHOES = "def process(input):\n    return input\n"
FAILS = "def process(input):\n    raise ValueError(input)\n"
LOGS = """\
from pulsar import Function


class Logs(Function):
    def process(self, input, context):
        context.get_logger().warning("seen %s", input)
"""
GREETS = """\
from dataclasses import dataclass


@dataclass
class Person:
    name: str


@dataclass
class Greeting:
    text: str


def process(input: Person) -> Greeting:
    return Greeting(f"hello {input.name}")
"""


class Person(Record):
    name = String(required=True)


class Greeting(Record):
    text = String(required=True)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("python") / "data") as made:
        yield made


def test_records_reach_the_log_topic(worker: Standalone) -> None:
    """What a function logs is a message of its log topic."""
    answer = worker.create("lt", LOGS, {"className": "function.Logs", "inputs": ["lt-in"], "logTopic": "lt-log"})
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe("lt-log", "test", initial_position=pulsar.InitialPosition.Earliest)
    worker.client.create_producer("lt-in").send(b"x")
    while b"seen x" not in consumer.receive(30_000).data():
        pass


def test_records_go_in_and_out_by_their_schemas(worker: Standalone) -> None:
    """Annotations with dataclasses make JSON schemas that the official client's records read."""
    specs = {"sc-in": {"schemaType": "JSON"}}
    answer = worker.create("sc", GREETS, {"inputSpecs": specs, "output": "sc-out", "outputSchemaType": "JSON"})
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe("sc-out", "test", schema=JsonSchema(Greeting))
    worker.client.create_producer("sc-in", schema=JsonSchema(Person)).send(Person(name="Ada"))
    assert consumer.receive(30_000).value().text == "hello Ada"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            {"processingGuarantees": "EFFECTIVELY_ONCE", "output": "no-out"},
            "de-duplication in the namespace public/default",
        ),
        ({"outputSchemaType": "DATE", "output": "no-out"}, "outputSchemaType"),
    ],
    ids=["guarantee", "schema"],
)
def test_what_python_has_not_is_refused_by_name(worker: Standalone, config: dict[str, object], named: str) -> None:
    """No option is taken and then ignored."""
    answer = worker.create("no", FAILS, {"inputs": ["no-in"], **config})
    assert answer.status_code == 400
    assert named in answer.json()["reason"], json.dumps(answer.json())


@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_effectively_once_where_the_namespace_has_de_duplication(worker: Standalone, runtime: str) -> None:
    """Created where the broker can keep the promise; a batch comes out whole, message by message, and in order."""
    space = f"public/once-{runtime}"
    assert worker.http.put(f"/admin/v2/namespaces/{space}", json={}).is_success
    assert worker.http.post(f"/admin/v2/namespaces/{space}/deduplication", json=True).is_success
    source, sink = f"persistent://{space}/in", f"persistent://{space}/out"
    config = {
        "inputs": [source],
        "output": sink,
        "processingGuarantees": "EFFECTIVELY_ONCE",
        "customRuntimeOptions": json.dumps({"magnetar": {"runtime": runtime}}),
    }
    answer = worker.create(f"once-{runtime}", ECHOES, config)
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe(sink, "test")
    producer = worker.client.create_producer(source, batching_enabled=True)
    payloads = [b"m%03d" % number for number in range(300)]
    for payload in payloads:
        producer.send_async(payload, None)
    producer.flush()
    assert [consumer.receive(30_000).data() for _ in payloads] == payloads
