"""EFFECTIVELY_ONCE: every input has exactly one output, whatever ends when; outputs are counted on the topic itself."""

import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import pulsar
import pytest
from instance_process import InstanceProcess, details, produce, running
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_instance.proto.function import EFFECTIVELY_ONCE, FunctionDetails
from magnetar_instance.sequences import producer_name

_PATIENCE = 120.0
Launch = Callable[..., AbstractContextManager[InstanceProcess]]
ECHO = "def process(input):\n    return input\n"
FORMS = {
    "async def": (
        "import asyncio, random\n"
        "async def process(input):\n"
        "    await asyncio.sleep(random.random() / 100)\n"
        "    return input\n"
    ),
    "batch": (
        "from magnetar_instance import batch\n"
        "@batch(most=50)\n"
        "def process(inputs):\n"
        "    return [each.value for each in inputs]\n"
    ),
}


@pytest.fixture
def space(pulsar_broker: RunningBroker) -> str:
    return with_deduplication(pulsar_broker)


def with_deduplication(broker: RunningBroker) -> str:
    """Make a namespace with de-duplication; returns what its topics' names begin with."""
    name = f"public/once-{uuid.uuid4().hex[:8]}"
    assert httpx.put(f"{broker.admin_url}/admin/v2/namespaces/{name}", json={}).is_success
    assert httpx.post(f"{broker.admin_url}/admin/v2/namespaces/{name}/deduplication", json=True).is_success
    return f"persistent://{name}/"


def once(source: str, sink: str, class_name: str = "echo") -> FunctionDetails:
    return details(class_name, [source], sink, processingGuarantees=EFFECTIVELY_ONCE)


def partition(broker: RunningBroker, topic: str, count: int) -> None:
    path = topic.replace("://", "/")
    assert httpx.put(f"{broker.admin_url}/admin/v2/{path}/partitions", json=count).is_success


def drained(broker: RunningBroker, topics: list[str], function: FunctionDetails) -> None:
    """Wait until every input is acknowledged."""
    subscription = f"{function.tenant}/{function.namespace}/{function.name}"
    paths = [topic.replace("://", "/") for topic in topics]

    def backlog(admin: httpx.Client) -> int:
        stats = [admin.get(f"/admin/v2/{path}/stats").json() for path in paths]
        return sum(each["subscriptions"][subscription]["msgBacklog"] for each in stats)

    ends = time.monotonic() + _PATIENCE
    with httpx.Client(base_url=broker.admin_url, timeout=_PATIENCE) as admin:
        while (left := backlog(admin)) > 0:
            assert time.monotonic() < ends, left
            time.sleep(0.05)


def contents(client: pulsar.Client, topics: list[str]) -> list[bytes]:
    """Everything that is on some topics."""
    found = []
    for topic in topics:
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        while reader.has_message_available():
            found.append(reader.read_next(30_000).data())
        reader.close()
    return found


def partitions(topic: str, count: int) -> list[str]:
    return [f"{topic}-partition-{number}" for number in range(count)]


def test_kills_under_load_lose_and_double_nothing(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str
) -> None:
    """Batched and partitioned input, killed again and again: exactly one output for each, in the order of each partition."""
    source, sink = f"{space}in", f"{space}out"
    partition(pulsar_broker, source, 3)
    partition(pulsar_broker, sink, 2)
    function = once(source, sink)
    payloads = [b"m%05d" % number for number in range(12_000)]
    produce(client, source, payloads)
    for _ in range(4):
        with launch(function, ECHO) as instance:
            instance.until(lambda now: now.numReceived > 700)
            instance.kill()
    with launch(function, ECHO):
        drained(pulsar_broker, partitions(source, 3), function)
        seen = contents(client, partitions(sink, 2))
    assert Counter(seen) == Counter(payloads)


@pytest.mark.parametrize("form", FORMS)
def test_kills_double_nothing_of_functions_of_any_form(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str, form: str
) -> None:
    """Many calls at a time, or lists of messages: killed again and again, one output for each, in each partition's order."""
    source, sink = f"{space}in", f"{space}out"
    partition(pulsar_broker, source, 2)
    function = once(source, sink)
    payloads = [b"m%05d" % number for number in range(4_000)]
    produce(client, source, payloads)
    for _ in range(3):
        with launch(function, FORMS[form]) as instance:
            instance.until(lambda now: now.numSuccessfullyProcessed > 300)
            instance.kill()
    with launch(function, FORMS[form]) as instance:
        drained(pulsar_broker, partitions(source, 2), function)
        seen = contents(client, [sink])
        assert instance.stop() == 0
    assert Counter(seen) == Counter(payloads)
    for part in partitions(source, 2):
        sent = set(inputs := contents(client, [part]))
        assert [each for each in seen if each in sent] == inputs


def test_two_instances_share_partitions_and_take_over(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str
) -> None:
    """A partition that goes to another instance, while its old one lives or because it died, doubles and loses nothing."""
    source, sink = f"{space}in", f"{space}out"
    partition(pulsar_broker, source, 2)
    function = once(source, sink)
    payloads = [b"m%05d" % number for number in range(6_000)]
    with launch(function, ECHO) as first:
        produce(client, source, payloads[:3_000])
        first.until(lambda now: now.numReceived > 200)
        with launch(function, ECHO, instance_id=1) as second:
            produce(client, source, payloads[3_000:])
            second.until(lambda now: now.numReceived > 200)
            first.kill()
            drained(pulsar_broker, partitions(source, 2), function)
            seen = contents(client, [sink])
    assert Counter(seen) == Counter(payloads)


def test_a_slow_function_lets_go_of_what_another_instance_waits_for(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str
) -> None:
    """What it has received ahead holds the other instance up for a call or two, and neither begins anew."""
    source, sink = f"{space}in", f"{space}out"
    partition(pulsar_broker, source, 2)
    function = once(source, sink)
    payloads = [b"m%02d" % number for number in range(20)]
    slow = "import time\ndef process(input):\n    time.sleep(0.3)\n    return input\n"
    producer = client.create_producer(source, message_routing_mode=pulsar.PartitionsRoutingMode.RoundRobinDistribution)
    for payload in payloads:
        producer.send(payload)
    with launch(function, slow) as first:
        first.until(lambda now: now.numSuccessfullyProcessed > 1)
        with launch(function, slow, instance_id=1) as second:
            second.until(lambda now: now.numSuccessfullyProcessed > 2)
            drained(pulsar_broker, partitions(source, 2), function)
            assert (first.status().numSystemExceptions, second.status().numSystemExceptions) == (0, 0)
            seen = contents(client, [sink])
    assert Counter(seen) == Counter(payloads)


def test_partitions_that_change_hands_at_a_brokers_death_are_not_waited_for(tmp_path: Path) -> None:
    """Two instances that get each other's partitions let go of what the other waits for, and nothing is lost or doubled."""
    (tmp_path / "echo.py").write_text(ECHO)
    with running_broker(tmp_path / "data") as broker:
        prefix = with_deduplication(broker)
        source, sink = f"{prefix}in", f"{prefix}out"
        partition(broker, source, 4)
        function = once(source, sink)
        payloads = [b"m%05d" % number for number in range(9_000)]
        client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        with ExitStack() as stack:
            stack.callback(client.close)
            for number in range(2):
                options = {"logs": tmp_path / "logs", "instance_id": number}
                stack.enter_context(running(function, tmp_path / "echo.py", broker.service_url, **options))
            for part in range(3):
                produce(client, source, payloads[part * 3_000 : (part + 1) * 3_000])
                broker.kill()
                broker.restart()
            drained(broker, partitions(source, 4), function)
            seen = contents(client, [sink])
    assert Counter(seen) == Counter(payloads)


def test_a_failing_message_is_tried_again_in_its_place(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str
) -> None:
    """Nothing overtakes it, also where its result is larger than the broker takes; and it is counted and named."""
    source, sink = f"{space}in", f"{space}out"
    code = (
        "import os\n"
        "from magnetar_instance import Message\n"
        "tries, pairs = [], []\n"
        "def process(input):\n"
        "    if input == 'bad':\n"
        "        tries.append(input)\n"
        "        if len(tries) < 3: raise ValueError('not yet')\n"
        "        if len(tries) < 5: return os.urandom(6 << 20)\n"
        "    if input == 'two':\n"
        "        pairs.append(input)\n"
        "        return [Message('two a'), Message('two b' if len(pairs) > 1 else os.urandom(6 << 20))]\n"
        "    return input\n"
    )
    function = once(source, sink)
    function.source.negativeAckRedeliveryDelayMs = 50
    produce(client, source, [b"one", b"bad", b"two"])
    with launch(function, code) as instance:
        drained(pulsar_broker, [source], function)
        status = instance.status()
    assert contents(client, [sink]) == [b"one", b"bad", b"two a", b"two b"]
    assert (status.numUserExceptions, status.numSystemExceptions) == (2, 3)
    assert "MessageTooBig" in status.latestSystemExceptions[0].exceptionString


@pytest.mark.parametrize("form", ["async def", "batch"])
def test_calls_that_came_back_wait_for_one_that_failed(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str, form: str
) -> None:
    """It is called again by itself until it succeeds, also for a result that is too large; all it published is there."""
    source, sink, side = f"{space}in", f"{space}out", f"{space}side"
    body = (
        "    if value == 'bad':\n"
        "        tries.append(value)\n"
        "        context.publish(side, 'try')\n"
        "        if len(tries) < 3: raise ValueError('not yet')\n"
        "        if len(tries) < 4: return os.urandom(6 << 20)\n"
        "    return value\n"
    )
    head = (
        f"import os\nfrom magnetar_instance import batch\nside, tries = {side!r}, []\ndef one(value, context):\n{body}"
    )
    process = {
        "async def": "class It:\n    async def process(self, input, context):\n        return one(input, context)\n",
        "batch": (
            "class It:\n    @batch(most=10, wait=0.2)\n    def process(self, inputs, context):\n"
            "        return [one(each.value, context) for each in inputs]\n"
        ),
    }
    function = once(source, sink, "it.It")
    function.source.negativeAckRedeliveryDelayMs = 50
    produce(client, source, [b"one", b"bad", b"two"])
    with launch(function, head + process[form], file="it") as instance:
        drained(pulsar_broker, [source], function)
        status = instance.status()
        assert instance.stop() == 0
    assert contents(client, [sink]) == [b"one", b"bad", b"two"]
    assert len(contents(client, [side])) >= 4
    assert (status.numUserExceptions >= 1, status.numSystemExceptions) == (True, 1)


def test_foreign_sequence_ids_are_not_taken_for_its_own(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, space: str
) -> None:
    """A producer name that was used with ids of another scheme is left alone: else every result would count as sent."""
    source, sink = f"{space}in", f"{space}out"
    produce(client, source, [b"one", b"two"])
    reader = client.create_reader(source, pulsar.MessageId.earliest)
    ledger = reader.read_next(30_000).message_id().ledger_id()
    reader.close()
    function = once(source, sink)
    name = producer_name(f"{function.tenant}/{function.namespace}/{function.name}", source, ledger)
    foreign = client.create_producer(sink, producer_name=name)
    foreign.send(b"foreign", sequence_id=1 << 60)
    foreign.close()
    with launch(function, ECHO) as instance:
        drained(pulsar_broker, [source], function)
        assert "other sequence ids" in instance.log()
    assert contents(client, [sink]) == [b"foreign", b"one", b"two"]


def test_what_would_break_the_order_is_refused(launch: Launch, space: str) -> None:
    """An acknowledgement time-out has messages come again out of their order: named, and not started."""
    function = once(f"{space}in", f"{space}out")
    function.source.timeoutMs = 20_000
    with launch(function, ECHO, ready=False) as instance:
        assert "source.timeoutMs is refused" in instance.wait_event("failed")["reason"]
        assert instance.process.wait(30) == 78
