"""Functions that take lists of messages: what makes a batch, and how one message of it fails alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, produce, unique

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
HEAD = "from magnetar_instance import Message, batch\n"


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_batch_is_what_waits_up_to_its_bound(launch: Launch, client: pulsar.Client, kind: str) -> None:
    """Each result is its own message's, with the key that the message had."""
    source, sink = unique("in"), unique("out")
    code = (
        f"{HEAD}"
        "class Sizes:\n"
        "    @batch(most=4)\n"
        f"    {kind} process(self, inputs, context):\n"
        "        return [Message(f'{len(inputs)} {each.value}', key=each.key + '!') for each in inputs]\n"
    )
    producer = client.create_producer(source)
    for number in range(10):
        producer.send(str(number).encode(), partition_key=f"k{number}")
    with launch(details("sizes.Sizes", [source], sink), code) as instance:
        found = collect(client, sink, 10)
        instance.until(lambda now: now.numSuccessfullyProcessed == 10)
    pairs = [message.data().decode().split() for message in found]
    assert [number for _, number in pairs] == [str(number) for number in range(10)]
    assert all(1 <= int(size) <= 4 for size, _ in pairs)
    assert [message.partition_key() for message in found] == [f"k{number}!" for number in range(10)]


def test_a_batch_waits_for_its_messages(launch: Launch, client: pulsar.Client) -> None:
    """With `wait` messages that come one by one are given together."""
    source, sink = unique("in"), unique("out")
    code = f"{HEAD}@batch(most=3, wait=60)\ndef process(inputs):\n    return [len(inputs)] * len(inputs)\n"
    producer = client.create_producer(source)
    with launch(details("together", [source], sink), code):
        for _ in range(3):
            producer.send(b"x")
        assert [message.data() for message in collect(client, sink, 3)] == [b"3", b"3", b"3"]


@pytest.mark.parametrize("how", ["return [ValueError('no') if i.value == 'bad' else i.value for i in inputs]", "raise"])
def test_one_message_fails_alone(launch: Launch, client: pulsar.Client, how: str) -> None:
    """Returned as an exception or raised for the whole batch, a failure is its message's; the others go out once."""
    source, sink, dead = unique("in"), unique("out"), unique("dead")
    body = how if how != "raise" else "return [{'bad': None}.get(i.value, 1) + 0 and i.value for i in inputs]"
    code = f"{HEAD}@batch(most=10, wait=0.5)\ndef process(inputs):\n    {body}\n"
    function = details("part", [source], sink)
    function.retryDetails.maxMessageRetries = 0
    function.retryDetails.deadLetterTopic = dead
    produce(client, source, [b"a", b"bad", b"b"])
    with launch(function, code) as instance:
        assert collect(client, dead, 1)[0].data() == b"bad"
        status = instance.until(lambda now: now.numSuccessfullyProcessed == 2)
        assert (status.numUserExceptions, status.numReceived) == (1, 3)
        assert [message.data() for message in collect(client, sink, 2)] == [b"a", b"b"]


def test_a_wrong_number_of_results_is_named(launch: Launch, client: pulsar.Client) -> None:
    """No message is taken for done by such a batch."""
    source = unique("in")
    produce(client, source, [b"a"])
    with launch(
        details("short", [source], unique("out")), f"{HEAD}@batch()\ndef process(inputs):\n    return []\n"
    ) as it:
        status = it.until(lambda now: now.numUserExceptions == 1)
    assert "1 message(s) was answered with a list of 0" in status.latestUserExceptions[0].exceptionString
