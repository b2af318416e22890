"""Window functions: by count and by time, by arrival and by event time, and nothing is lost of a window that failed."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, unique
from magnetar_instance.proto.function import FunctionDetails

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
JOINS = """
class Joins:
    {kind} process(self, inputs, context):
        assert context.get_user_config_map() == {{"own": 1}}
        return " ".join(str(each.value) for each in inputs)
"""


def windowed(class_name: str, source: str, sink: str, **window: object) -> FunctionDetails:
    """The details that a worker makes: the function hides in the config of its windows."""
    function = details("org.apache.pulsar.functions.windowing.WindowFunctionExecutor", [source], sink, autoAck=False)
    window = {"actualWindowFunctionClassName": class_name, "processingGuarantees": "ATLEAST_ONCE", **window}
    function.userConfig = json.dumps({"own": 1, "__WINDOWCONFIGS__": window})
    function.MergeFrom(FunctionDetails(processingGuarantees="MANUAL"))
    return function


def send(client: pulsar.Client, topic: str, *texts: str, at: tuple[int, ...] = ()) -> None:
    producer = client.create_producer(topic)
    for index, text in enumerate(texts):
        producer.send(text.encode(), event_timestamp=at[index] if at else None)
    producer.close()


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_windows_by_count_tumble_and_slide(launch: Launch, client: pulsar.Client, kind: str) -> None:
    """Messages that are in no window yet come again to the next instance."""
    source, sink = unique("in"), unique("out")
    function = windowed("joins.Joins", source, sink, windowLengthCount=2, slidingIntervalCount=2)
    send(client, source, "a", "b", "c")
    with launch(function, JOINS.format(kind=kind), file="joins") as instance:
        message = collect(client, sink, 1)[0]
        assert message.data() == b"a b"
        assert message.properties()["__pfn_input_topic__"] == source
        instance.until(lambda now: now.numReceived == 3 and now.numSuccessfullyProcessed == 2)
        assert instance.stop() == 0
    send(client, source, "d", "e", "f")
    sliding = windowed("joins.Joins", source, sink, windowLengthCount=3, slidingIntervalCount=1)
    sliding.name = function.name
    with launch(sliding, JOINS.format(kind=kind), file="joins"):
        found = [message.data().decode() for message in collect(client, sink, 5)[1:]]
    assert found == ["c", "c d", "c d e", "d e f"]


def test_windows_by_arrival_end_in_time(launch: Launch, client: pulsar.Client) -> None:
    """No further message is needed to end one."""
    source, sink = unique("in"), unique("out")
    function = windowed("joins.Joins", source, sink, windowLengthDurationMs=500, slidingIntervalDurationMs=500)
    send(client, source, "a", "b", "c")
    with launch(function, JOINS.format(kind="def"), file="joins") as instance:
        instance.until(lambda now: now.numSuccessfullyProcessed == 3)
        assert "numUserExceptions" not in str(instance.status())
    joined = b" ".join(message.data() for message in collect(client, sink, 1))
    assert joined.startswith(b"a")


def test_windows_by_event_time_wait_for_the_watermark(launch: Launch, client: pulsar.Client) -> None:
    """Messages out of order find their windows; one that comes too late goes where late ones go, as it was."""
    source, sink, late = unique("in"), unique("out"), unique("late")
    function = windowed(
        "joins.Joins",
        source,
        sink,
        windowLengthDurationMs=1000,
        slidingIntervalDurationMs=1000,
        timestampExtractorClassName="magnetar_instance.EventTime",
        maxLagMs=1500,
        watermarkEmitIntervalMs=20,
        lateDataTopic=late,
    )
    send(client, source, "b", "c", "a", "d", at=(100_900, 101_200, 100_100, 103_600))
    with launch(function, JOINS.format(kind="def"), file="joins") as instance:
        assert [message.data() for message in collect(client, sink, 2)] == [b"a b", b"c"]
        send(client, source, "e", at=(100_500,))
        message = collect(client, late, 1)[0]
        assert (message.data(), message.event_timestamp()) == (b"e", 100_500)
        status = instance.until(lambda now: now.numReceived == 5)
        assert (status.numUserExceptions, status.numSystemExceptions) == (0, 0)
        assert dict(instance.metrics().userMetrics)["user_metric_late_messages_sum"] == 1


def test_the_messages_of_a_window_that_failed_come_again(launch: Launch, client: pulsar.Client) -> None:
    """The exception is counted once, and each message is in a later window."""
    source, sink = unique("in"), unique("out")
    code = (
        "class Second:\n"
        "    calls = 0\n"
        "    def process(self, inputs, context):\n"
        "        self.calls += 1\n"
        "        if self.calls == 1:\n"
        "            raise ValueError('first')\n"
        "        return ' '.join(sorted(each.value for each in inputs))\n"
    )
    function = windowed("second.Second", source, sink, windowLengthCount=2, slidingIntervalCount=2)
    function.source.negativeAckRedeliveryDelayMs = 100
    send(client, source, "a", "b")
    with launch(function, code, file="second") as instance:
        assert collect(client, sink, 1)[0].data() == b"a b"
        assert instance.until(lambda now: now.numSuccessfullyProcessed == 2).numUserExceptions == 1


def test_a_time_that_is_none_is_named(launch: Launch, client: pulsar.Client) -> None:
    """A message without its time fails alone."""
    source = unique("in")
    code = (
        "class Times:\n"
        "    def extract_timestamp(self, message):\n"
        "        return message.value\n"
        "class F:\n"
        "    def process(self, inputs, context):\n"
        "        pass\n"
    )
    function = windowed("times.F", source, "", windowLengthCount=1, timestampExtractorClassName="times.Times")
    send(client, source, "soon")
    with launch(function, code, file="times") as instance:
        status = instance.until(lambda now: now.numSystemExceptions == 1)
    assert "extract_timestamp returned 'soon'" in status.latestSystemExceptions[0].exceptionString


def test_a_refused_output_of_a_sliding_window_is_named(launch: Launch, client: pulsar.Client) -> None:
    """Though no message leaves its last window with it."""
    source, sink = unique("in"), unique("out")
    code = (
        "import os\n"
        "class Large:\n"
        "    def process(self, inputs, context):\n"
        "        return os.urandom(6 << 20) if len(inputs) == 1 else b'small'\n"
    )
    function = windowed("large.Large", source, sink, windowLengthCount=2, slidingIntervalCount=1)
    send(client, source, "a", "b")
    with launch(function, code, file="large") as instance:
        assert collect(client, sink, 1)[0].data() == b"small"
        status = instance.until(lambda now: now.numSystemExceptions == 1)
    assert "MessageTooBig" in status.latestSystemExceptions[0].exceptionString
