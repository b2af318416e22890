"""What functions return besides plain values: messages with key, properties, event time and a topic of their own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pulsar
from instance_process import InstanceProcess, collect, details, unique

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_message_goes_out_with_all_that_it_has(launch: Launch, client: pulsar.Client) -> None:
    """Key, properties and event time are the output's, and it tells which input it came from."""
    source, sink = unique("in"), unique("out")
    code = (
        "from magnetar_instance import Message\n"
        "def process(input):\n"
        "    return Message(input + '!', key='k', ordering_key='o', properties={'p': 'q'}, event_time=1234)\n"
    )
    client.create_producer(source).send(b"hello", properties={"kept": "no"})
    with launch(details("shaped", [source], sink), code):
        message = collect(client, sink, 1)[0]
    assert (message.data(), message.partition_key(), message.event_timestamp()) == (b"hello!", "k", 1234)
    assert message.ordering_key() == "o"
    assert message.properties() == {
        "p": "q",
        "__pfn_input_topic__": source,
        "__pfn_input_msg_id__": message.properties()["__pfn_input_msg_id__"],
    }


def test_each_message_names_its_topic(launch: Launch, client: pulsar.Client) -> None:
    """Several outputs of one input go where each says, also for a function that has no output topic."""
    source, left, right = unique("in"), unique("left"), unique("right")
    code = (
        "from magnetar_instance import Message\n"
        "class Router:\n"
        "    def process(self, input, context):\n"
        "        to = context.get_user_config_value\n"
        "        return [Message(input, topic=to('left')), Message(input, topic=to('right'))]\n"
    )
    config = f'{{"left": "{left}", "right": "{right}"}}'
    client.create_producer(source).send(b"x")
    with launch(details("route.Router", [source], userConfig=config), code):
        assert [collect(client, topic, 1)[0].data() for topic in (left, right)] == [b"x", b"x"]


def test_what_can_not_be_a_message_fails_alone(launch: Launch, client: pulsar.Client) -> None:
    """A Message with a key that is no text is counted and named; its neighbours go out."""
    source, sink = unique("in"), unique("out")
    code = (
        "from magnetar_instance import Message\n"
        "def process(input):\n"
        "    return Message(str(input), key=7 if input == 'bad' else str(input))\n"
    )
    producer = client.create_producer(source)
    for payload in (b"a", b"bad", b"b"):
        producer.send(payload)
    with launch(details("keys", [source], sink), code) as instance:
        assert [message.partition_key() for message in collect(client, sink, 2)] == ["a", "b"]
        status = instance.until(lambda now: now.numSystemExceptions == 1)
    assert "7 is no str" in status.latestSystemExceptions[0].exceptionString


def test_trace_context_is_carried_across(launch: Launch, client: pulsar.Client) -> None:
    """traceparent and tracestate are the output's too, whatever else is forwarded; an input's origin is not."""
    source, sink, forwarded = unique("in"), unique("out"), unique("out")
    properties = {"traceparent": PARENT, "tracestate": "a=b", "other": "x", "__pfn_input_topic__": "elsewhere"}
    client.create_producer(source).send(b"x", properties=properties)
    code = "def process(input):\n    return input\n"
    with launch(details("plain", [source], sink), code):
        plain = collect(client, sink, 1)[0].properties()
    whole = details("plain", [source], forwarded)
    whole.sink.forwardSourceMessageProperty = True
    with launch(whole, code):
        all_of_it = collect(client, forwarded, 1)[0].properties()
    assert (plain["traceparent"], plain["tracestate"], "other" in plain) == (PARENT, "a=b", False)
    assert (all_of_it["traceparent"], all_of_it["other"]) == (PARENT, "x")
    assert all_of_it["__pfn_input_topic__"] == source
