"""No input without its output, whatever ends when: instances and brokers are killed for real, and outputs counted."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, produce, running, unique, until
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_instance.proto.function import MANUAL

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
ECHO = "def process(input):\n    return input\n"


def counted(client: pulsar.Client, topic: str, expected: set[bytes]) -> Counter[bytes]:
    """Read a topic until everything expected was seen."""
    consumer = client.subscribe(topic, "count", initial_position=pulsar.InitialPosition.Earliest)
    seen: Counter[bytes] = Counter()
    missing = set(expected)
    while missing:
        payload = consumer.receive(30_000).data()
        seen[payload] += 1
        missing.discard(payload)
    consumer.close()
    return seen


def backlog(broker: RunningBroker, topic: str, subscription: str) -> int:
    path = topic.replace("://", "/")
    stats = httpx.get(f"{broker.admin_url}/admin/v2/{path}/stats").json()
    return int(stats["subscriptions"][subscription]["msgBacklog"])


def test_kills_under_load_lose_nothing(launch: Launch, client: pulsar.Client) -> None:
    """Killed again and again while much is in flight, instances leave an output for every input."""
    source, sink = unique("in"), unique("out")
    function = details("echo", [source], sink)
    payloads = [b"m%05d" % number for number in range(20_000)]
    produce(client, source, payloads)
    for _ in range(4):
        with launch(function, ECHO) as instance:
            instance.until(lambda now: now.numReceived > 500)
            instance.kill()
    with launch(function, ECHO):
        seen = counted(client, sink, set(payloads))
    assert set(seen) == set(payloads)


def test_a_brokers_kill_loses_nothing(tmp_path: Path) -> None:
    """The instance goes on by itself when its broker is back, and every input has its output."""
    (tmp_path / "echo.py").write_text(ECHO)
    source, sink = unique("in"), unique("out")
    payloads = [b"m%05d" % number for number in range(10_000)]
    with running_broker(tmp_path / "data") as broker:
        client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        function = details("echo", [source], sink)
        with running(function, tmp_path / "echo.py", broker.service_url, logs=tmp_path / "logs") as instance:
            feeder = threading.Thread(target=produce, args=(client, source, payloads))
            feeder.start()
            for _ in range(2):
                before = instance.status().numReceived
                instance.until(lambda now, before=before: now.numReceived > min(before + 100, 9_000))  # type: ignore[misc]
                broker.kill()
                broker.restart()
            seen = counted(client, sink, set(payloads))
            feeder.join()
        client.close()
    assert set(seen) == set(payloads)


def test_a_message_too_large_in_mid_batch_fails_alone(launch: Launch, client: pulsar.Client) -> None:
    """Its neighbours are published and acknowledged; it is counted, named, and comes again when the function is mended."""
    source, sink = unique("in"), unique("out")
    code = "import os\ndef process(input):\n    return os.urandom(6 << 20) if input == 'large' else input\n"
    function = details("blow", [source], sink)
    produce(client, source, [b"one", b"large", b"two"])
    with launch(function, code) as instance:
        assert [message.data() for message in collect(client, sink, 2)] == [b"one", b"two"]
        status = instance.until(lambda now: now.numSystemExceptions == 1)
        assert "MessageTooBig" in status.latestSystemExceptions[0].exceptionString
        assert instance.stop() == 0
    with launch(function, ECHO):
        assert [message.data() for message in collect(client, sink, 3)] == [b"one", b"two", b"large"]


def test_sigterm_finishes_what_is_in_flight(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """The message being processed is published and acknowledged, the rest is left: a successor doubles nothing."""
    source, sink = unique("in"), unique("out")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = f"def process(input):\n    if input == 'wait':\n        open({str(gate)!r}).read()\n    return input\n"
    payloads = [b"a", b"b", b"wait", b"c", b"d"]
    function = details("gated", [source], sink)
    produce(client, source, payloads)
    with launch(function, code) as instance:
        with gate.open("w"):
            instance.process.send_signal(signal.SIGTERM)
            until(lambda: "stopping: signal SIGTERM" in instance.log(), bool)
        assert instance.process.wait(30) == 0
    assert backlog(pulsar_broker, source, f"public/default/{function.name}") > 0
    with launch(function, ECHO):
        assert counted(client, sink, set(payloads)) == Counter(payloads)


def test_an_instance_stops_though_its_broker_is_dead(tmp_path: Path) -> None:
    """With outputs that nobody confirms, SIGTERM still ends it within the supervisor's grace."""
    (tmp_path / "echo.py").write_text(ECHO)
    source = unique("in")
    with running_broker(tmp_path / "data") as broker:
        function = details("echo", [source], unique("out"))
        with running(function, tmp_path / "echo.py", broker.service_url, logs=tmp_path / "logs") as instance:
            client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
            produce(client, source, [b"x"] * 10)
            client.close()
            instance.until(lambda now: now.numSuccessfullyProcessed == 10)
            broker.kill()
            assert instance.stop() == 0
        broker.restart()


@pytest.mark.parametrize("how", ["sys.exit(3)", "sys.exit()", "os.fork() or os._exit(0)", "os.fork()"])
def test_a_function_that_leaves_or_forks_loses_no_message(launch: Launch, client: pulsar.Client, how: str) -> None:
    """sys.exit ends the instance, is counted and said; a forked child never runs on as the instance."""
    source, sink = unique("in"), unique("out")
    code = f"import os, sys\ndef process(input):\n    if input == 'now':\n        {how}\n    return input\n"
    function = details("leaver", [source], sink)
    produce(client, source, [b"one", b"now", b"two"])
    with launch(function, code) as instance:
        if "exit(3)" in how or "exit()" in how:
            assert instance.process.wait(30) == (3 if "3" in how else 1)
            assert "the function called sys.exit" in instance.log()
        else:
            assert counted(client, sink, {b"one", b"now", b"two"}) == Counter([b"one", b"now", b"two"])
    with launch(function, ECHO):
        seen = counted(client, sink, {b"one", b"now", b"two"})
    assert seen == Counter([b"one", b"now", b"two"])


def test_threads_and_files_that_a_function_leaves_do_not_hold_its_end(launch: Launch, client: pulsar.Client) -> None:
    """A thread that never ends does not keep the process; a package that deleted itself runs on."""
    source, sink = unique("in"), unique("out")
    code = (
        "import os, threading\n"
        "def process(input):\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    if os.path.exists(__file__): os.unlink(__file__)\n"
        "    return input\n"
    )
    produce(client, source, [b"x", b"y"])
    with launch(details("threads", [source], sink), code) as instance:
        assert [message.data() for message in collect(client, sink, 2)] == [b"x", b"y"]
        assert instance.stop() == 0


def test_manual_acknowledging_is_the_functions_own(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker
) -> None:
    """With MANUAL an input is done when the function says so, and not before."""
    source, sink = unique("in"), unique("out")
    code = (
        "class Own:\n"
        "    def process(self, input, context):\n"
        "        if input != 'b':\n"
        "            context.ack(context.get_message_id(), context.get_current_message_topic_name())\n"
        "        return input\n"
    )
    function = details("own.Own", [source], sink, processingGuarantees=MANUAL)
    for payload in (b"a", b"b", b"c"):
        produce(client, source, [payload])
    with launch(function, code) as instance:
        assert len(collect(client, sink, 3)) == 3
        assert instance.stop() == 0
    assert backlog(pulsar_broker, source, f"public/default/{function.name}") == 1


def test_partitioned_topics_are_read_and_written(
    launch: Launch, client: pulsar.Client, pulsar_broker: RunningBroker
) -> None:
    """Inputs of all partitions are acknowledged, outputs spread over all partitions confirmed."""
    source, sink = unique("in"), unique("out")
    for topic in (source, sink):
        path = topic.replace("://", "/")
        assert httpx.put(f"{pulsar_broker.admin_url}/admin/v2/{path}/partitions", json=3).is_success
    payloads = [b"m%04d" % number for number in range(3000)]
    function = details("echo", [source], sink)
    with launch(function, ECHO) as instance:
        produce(client, source, payloads)
        assert counted(client, sink, set(payloads)) == Counter(payloads)
        assert instance.stop() == 0
    subscription = f"public/default/{function.name}"
    assert [backlog(pulsar_broker, f"{source}-partition-{n}", subscription) for n in range(3)] == [0, 0, 0]


def test_a_message_that_fails_too_often_goes_to_the_dead_letter_topic(launch: Launch, client: pulsar.Client) -> None:
    """After its retries, alone, with its own fields and where it came from; it does not come again."""
    source, sink, dead = unique("in"), unique("out"), unique("dead")
    code = "def process(input):\n    if input == 'bad':\n        raise ValueError('never')\n    return input\n"
    function = details("strict", [source], sink)
    function.source.negativeAckRedeliveryDelayMs = 100
    function.retryDetails.maxMessageRetries = 2
    function.retryDetails.deadLetterTopic = dead
    producer = client.create_producer(source, batching_enabled=True)
    for payload in (b"one", b"bad", b"two"):
        producer.send_async(payload, None, properties={"own": "x"}, partition_key="k", event_timestamp=77)
    producer.flush()
    with launch(function, code) as instance:
        letter = collect(client, dead, 1)[0]
        assert (letter.data(), letter.partition_key(), letter.event_timestamp()) == (b"bad", "k", 77)
        properties = letter.properties()
        assert (properties["own"], properties["REAL_TOPIC"]) == ("x", source)
        assert properties["EXCEPTION"] == "ValueError: never"
        assert [message.data() for message in collect(client, sink, 2)] == [b"one", b"two"]
        assert instance.status().numUserExceptions == 3
        assert instance.stop() == 0
    with launch(function, ECHO):
        produce(client, source, [b"last"])
        assert [message.data() for message in collect(client, sink, 3)] == [b"one", b"two", b"last"]
