"""Pulsar's own worker starts Magnetar's Python instance, which `pythonInstanceLocation` names."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pulsar
import pytest
from pulsar_bed.bed import Standalone, requires_pulsar, set_up
from wheels import archive, wheel

FUNCTIONS = "/admin/v3/functions/public/default"
PATIENCE = 90.0
CLASS = """\
from pulsar import Function


class Greets(Function):
    def process(self, input, context):
        context.get_logger().info("greeting %s", input)
        context.record_metric("length", len(input))
        if input == "nobody":
            raise ValueError("nobody is there")
        word = context.get_user_config_value("word")
        return f"{word} {input} from {context.get_function_name()} {context.get_instance_id()}"
"""
IN_A_ZIP = "import bundled, util\n\ndef process(input):\n    return bundled.mark(util.shout(input))\n"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    made = Standalone(set_up(), tmp_path_factory.mktemp("pulsar"))
    made.start(worker=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def http(worker: Standalone) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=worker.addresses.admin_url, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def client(worker: Standalone) -> Iterator[pulsar.Client]:
    logger = pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull)
    made = pulsar.Client(worker.addresses.service_url, logger=logger)
    yield made
    made.close()


def until(holds: Callable[[], Any], what: Callable[[], object]) -> Any:
    """Ask until there is a good answer."""
    limit = time.monotonic() + PATIENCE
    while not (answer := holds()):
        assert time.monotonic() < limit, what()
        time.sleep(0.2)
    return answer


def send(http: httpx.Client, method: str, name: str, file: str, content: bytes, **config: Any) -> None:
    whole = {"runtime": "PYTHON", "inputs": [f"{name}-in"], "output": f"{name}-out", **config}
    whole = {"subscriptionPosition": "Earliest", "tenant": "public", "namespace": "default", "name": name, **whole}
    parts = {"functionConfig": (None, json.dumps(whole), "application/json"), "data": (file, content)}

    def sent() -> bool:
        answers.append(http.request(method, f"{FUNCTIONS}/{name}", files=parts))
        return answers[-1].is_success

    answers: list[httpx.Response] = []
    until(sent, lambda: answers[-1].text)


def status_of(http: httpx.Client, name: str) -> dict[str, Any]:
    instances = http.get(f"{FUNCTIONS}/{name}/status").json().get("instances", [])
    return instances[0]["status"] if instances else {}


def instances_of(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if any("python_instance_main.py" in part for part in line) and any(
                f'"name":"{name}"' in part for part in line
            ):
                found.append(process)
    return found


@requires_pulsar()
@pytest.mark.timeout(600)
def test_pulsars_worker_runs_updates_and_ends_functions_in_magnetars_instance(
    http: httpx.Client, client: pulsar.Client, worker: Standalone
) -> None:
    """Status, exceptions, figures, logs, trigger, update and delete are those of any Python function of Pulsar."""
    name, output = "greets", "greets-out"
    send(http, "POST", name, "greets.py", CLASS.encode(), className="greets.Greets", userConfig={"word": "hello"})
    until(lambda: status_of(http, name).get("running"), lambda: http.get(f"{FUNCTIONS}/{name}/status").text)
    consumer = client.subscribe(output, "test", initial_position=pulsar.InitialPosition.Earliest)
    producer = client.create_producer(f"{name}-in")
    producer.send(b"Ada", properties={"color": "red"})
    message = consumer.receive(60_000)
    assert message.data() == b"hello Ada from greets 0"
    assert message.properties()["__pfn_input_topic__"].endswith("greets-in")

    producer.send(b"nobody")
    status = until(
        lambda: (now := status_of(http, name)).get("numUserExceptions") and now,
        lambda: http.get(f"{FUNCTIONS}/{name}/status").text,
    )
    assert "nobody is there" in status["latestUserExceptions"][0]["exceptionString"]
    stats = http.get(f"{FUNCTIONS}/{name}/stats").json()
    assert (stats["receivedTotal"], stats["processedSuccessfullyTotal"]) == (2, 1)
    assert stats["instances"][0]["metrics"]["userMetrics"]["user_metric_length_count"] == 2
    metrics = http.get("/metrics/", follow_redirects=True).text
    assert 'pulsar_function_received_total{cluster="standalone",fqfn="public/default/greets"' in metrics
    log = worker.directory / f"logs/functions/public/default/{name}/{name}-0.log"
    assert "greeting Ada" in log.read_text()

    answer = http.post(f"{FUNCTIONS}/{name}/trigger", files={"data": (None, "trigger")})
    assert answer.text == "hello trigger from greets 0"

    before = instances_of(name)
    assert len(before) == 1
    send(http, "PUT", name, "greets.py", CLASS.encode(), className="greets.Greets", userConfig={"word": "goodbye"})
    until(lambda: not before[0].is_running(), lambda: before)
    producer.send(b"Ada")
    until(lambda: consumer.receive(60_000).data() == b"goodbye Ada from greets 0", lambda: log.read_text()[-2000:])

    assert http.delete(f"{FUNCTIONS}/{name}").is_success
    until(lambda: not instances_of(name), lambda: instances_of(name))


@requires_pulsar()
@pytest.mark.timeout(600)
def test_pulsars_worker_runs_a_zip_with_its_own_wheels(http: httpx.Client, client: pulsar.Client) -> None:
    """Pulsar's layout; the wheels are installed by the instance, without any index."""
    file, content = wheel("bundled", "1.0", {"bundled.py": "def mark(text): return text + '!'\n"})
    package = archive(
        {
            "zipped/src/zipped.py": IN_A_ZIP,
            "zipped/src/util.py": "def shout(text): return text.upper()\n",
            "zipped/requirements.txt": "bundled\n",
            f"zipped/deps/{file}": content,
        }
    )
    send(http, "POST", "zipped", "zipped.zip", package, className="zipped")
    consumer = client.subscribe("zipped-out", "test", initial_position=pulsar.InitialPosition.Earliest)
    client.create_producer("zipped-in").send(b"hello")
    assert consumer.receive(int(PATIENCE * 1000)).data() == b"HELLO!"
