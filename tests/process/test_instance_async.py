"""`async def` functions: bounded concurrency, order of outputs, and acknowledgement after the receipt alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, produce, unique
from magnetar_instance.settings import PENDING_KEY

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
REVERSED = """
import asyncio

class Late:
    \"\"\"The calls come back in the reverse order: each waits for the one after it.\"\"\"

    def __init__(self):
        self.events = {}

    def event(self, number):
        return self.events.setdefault(number, asyncio.Event())

    async def process(self, input, context):
        if input < 9:
            await self.event(input + 1).wait()
        self.event(input).set()
        return f"{input} {context.get_message_key()}"
"""
PEAK = """
import asyncio

class Peak:
    def __init__(self):
        self.now = self.most = 0

    async def process(self, input, context):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return self.most
"""


def test_outputs_keep_the_order_of_inputs(launch: Launch, client: pulsar.Client) -> None:
    """All calls are under way at the same time; what each returns goes out in the order of the inputs."""
    source, sink = unique("in"), unique("out")
    producer = client.create_producer(source)
    for number in range(10):
        producer.send(str(number).encode(), partition_key=f"k{number}")
    with launch(details("late.Late", [source], sink), REVERSED):
        found = [message.data().decode() for message in collect(client, sink, 10)]
    assert found == [f"{number} k{number}" for number in range(10)]


def test_keys_keep_their_own_order_alone(launch: Launch, client: pulsar.Client) -> None:
    """With retainKeyOrdering a slow key holds up no other, and its calls run one after the other."""
    source, sink, release = unique("in"), unique("out"), unique("release")
    code = (
        "import asyncio\n"
        "class Keyed:\n"
        "    def __init__(self):\n"
        "        self.gate, self.slow = asyncio.Event(), 0\n"
        "    async def process(self, input, context):\n"
        "        if context.get_message_key() != 'slow':\n"
        "            if input == 'open':\n"
        "                self.gate.set()\n"
        "            return input\n"
        "        self.slow += 1\n"
        "        assert self.slow == 1\n"
        "        await self.gate.wait()\n"
        "        await asyncio.sleep(0)\n"
        "        self.slow -= 1\n"
        "        return input\n"
    )
    function = details("keyed.Keyed", [source, release], sink, retainKeyOrdering=True)
    producer = client.create_producer(source)
    for payload, key in ((b"s1", "slow"), (b"s2", "slow"), (b"quick", "fast"), (b"s3", "slow")):
        producer.send(payload, partition_key=key)
    with launch(function, code) as instance:
        assert collect(client, sink, 1)[0].data() == b"quick"
        client.create_producer(release).send(b"open", partition_key="other")
        found = [message.data() for message in collect(client, sink, 5)]
        assert instance.status().numUserExceptions == 0
    assert [each for each in found if each.startswith(b"s")] == [b"s1", b"s2", b"s3"]


def test_so_many_calls_as_asked_are_under_way(launch: Launch, client: pulsar.Client) -> None:
    """maxPendingAsyncRequests bounds them, and they do reach it."""
    source, sink = unique("in"), unique("out")
    produce(client, source, [b"x"] * 40)
    with launch(details("peak.Peak", [source], sink, userConfig=f'{{"{PENDING_KEY}": 7}}'), PEAK) as instance:
        found = [int(message.data()) for message in collect(client, sink, 40)]
        assert instance.until(lambda now: now.numSuccessfullyProcessed == 40).averageLatency >= 10
    assert max(found) == 7


def test_a_call_that_fails_comes_again_and_the_others_do_not(launch: Launch, client: pulsar.Client) -> None:
    """An exception is counted, its input alone is redelivered, and dead-lettered when its attempts are over."""
    source, sink, dead = unique("in"), unique("out"), unique("dead")
    code = "async def process(input):\n    if input == 'bad':\n        raise ValueError('no good')\n    return input\n"
    function = details("fails", [source], sink)
    function.retryDetails.maxMessageRetries = 1
    function.retryDetails.deadLetterTopic = dead
    function.source.negativeAckRedeliveryDelayMs = 100
    produce(client, source, [b"a", b"bad", b"b"])
    with launch(function, code) as instance:
        assert collect(client, dead, 1)[0].data() == b"bad"
        status = instance.until(lambda now: now.numUserExceptions == 2)
        assert "ValueError: no good" in status.latestUserExceptions[0].exceptionString
        assert instance.stop() == 0
    with launch(details("fails", [source], unique("none"), name=function.name), code):
        produce(client, source, [b"last"])
        found = [message.data() for message in collect(client, sink, 2)]
    assert found == [b"a", b"b"]


@pytest.mark.timeout(180)
def test_kills_under_load_lose_nothing(launch: Launch, client: pulsar.Client) -> None:
    """Killed while a thousand calls are under way, instances leave an output for every input."""
    source, sink = unique("in"), unique("out")
    function = details("slow", [source], sink)
    payloads = [b"m%05d" % number for number in range(5_000)]
    produce(client, source, payloads)
    code = "import asyncio\nasync def process(input):\n    await asyncio.sleep(0.01)\n    return input\n"
    for _ in range(2):
        with launch(function, code) as instance:
            instance.until(lambda now: now.numReceived > 1200)
            instance.kill()
    with launch(function, code):
        consumer = client.subscribe(sink, "count", initial_position=pulsar.InitialPosition.Earliest)
        missing = set(payloads)
        while missing:
            missing.discard(consumer.receive(30_000).data())
        consumer.close()


def test_a_stop_waits_for_calls_and_leaves_the_stuck(launch: Launch, client: pulsar.Client) -> None:
    """SIGTERM ends an instance whose call never comes back; that input alone comes again."""
    source, sink = unique("in"), unique("out")
    code = (
        "import asyncio\n"
        "async def process(input):\n"
        "    await asyncio.sleep(3600 if input == 'stuck' else 0)\n"
        "    return input\n"
    )
    function = details("stuck", [source], sink)
    produce(client, source, [b"one", b"stuck"])
    with launch(function, code) as instance:
        assert collect(client, sink, 1)[0].data() == b"one"
        instance.wait_event("progress", received=2, processed=1)
        assert instance.stop() == 0
        assert "stopping with 1 call(s) under way" in instance.log()
    with launch(function, "def process(input):\n    return input\n"):
        assert [message.data() for message in collect(client, sink, 2)] == [b"one", b"stuck"]


def test_what_a_call_publishes_is_part_of_it(launch: Launch, client: pulsar.Client) -> None:
    """context.publish in a coroutine goes out with the trace of its own input, and the input waits for it."""
    source, side = unique("in"), unique("side")
    code = (
        "import asyncio\n"
        "class Side:\n"
        "    async def process(self, input, context):\n"
        "        await asyncio.sleep(0.01 if input == 'a' else 0)\n"
        f"        context.publish({side!r}, input)\n"
    )
    producer = client.create_producer(source)
    for name in ("a", "b"):
        producer.send(name.encode(), properties={"traceparent": name})
    with launch(details("side.Side", [source]), code) as instance:
        found = {(message.data(), message.properties()["traceparent"]) for message in collect(client, side, 2)}
        instance.until(lambda now: now.numSuccessfullyProcessed == 2)
    assert found == {(b"a", "a"), (b"b", "b")}
