"""Retry letters: what fails comes again later and later, over restarts, and is given up in the end."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, unique
from magnetar_instance.backoff import refusals
from magnetar_instance.proto.function import FunctionDetails
from pulsar.schema import AvroSchema

Launch = Callable[..., AbstractContextManager[InstanceProcess]]


def retrying(class_name: str, source: str, sink: str, **retry: object) -> FunctionDetails:
    function = details(class_name, [source], sink)
    function.source.subscriptionName = "sub"
    function.customRuntimeOptions = json.dumps({"magnetar": {"retry": retry}})
    return function


def letters(client: pulsar.Client, source: str, count: int) -> list[pulsar.Message]:
    """Read the retry letter topic beside the function: exclusive subscriptions get delayed messages at once."""
    return collect(client, f"{source}-sub-RETRY", count)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_failure_comes_again_later_and_later(launch: Launch, client: pulsar.Client, kind: str) -> None:
    """Each letter tells its attempts and its delay; the third attempt succeeds, with the message's key."""
    source, sink = unique("in"), unique("out")
    code = (
        "from magnetar_instance import Message\n"
        "class Third:\n"
        "    def __init__(self):\n"
        "        self.calls = 0\n"
        f"    {kind} process(self, input, context):\n"
        "        self.calls += 1\n"
        "        if self.calls < 3:\n"
        "            raise ValueError(self.calls)\n"
        "        return Message(input, key=context.get_message_key())\n"
    )
    function = retrying("third.Third", source, sink, initialDelayMs=200, multiplier=3, maxDelayMs=500)
    client.create_producer(source).send(b"x", partition_key="k", properties={"p": "q"})
    with launch(function, code) as instance:
        result = collect(client, sink, 1)[0]
        sent = [message.properties() for message in letters(client, source, 2)]
        assert instance.until(lambda now: now.numSuccessfullyProcessed == 1).numUserExceptions == 2
    assert (result.data(), result.partition_key()) == (b"x", "k")
    assert [(each["RECONSUMETIMES"], each["DELAY_TIME"]) for each in sent] == [("1", "200"), ("2", "500")]
    assert {(each["REAL_TOPIC"], each["p"]) for each in sent} == {(source, "q")}
    assert sent[0]["ORIGIN_MESSAGE_ID"] == sent[1]["ORIGIN_MESSAGE_ID"]


def test_attempts_are_counted_over_restarts_and_end_in_the_dead_letter_topic(
    launch: Launch, client: pulsar.Client
) -> None:
    """The letter carries its count: an instance that never saw the message before gives it up."""
    source, sink = unique("in"), unique("out")
    function = retrying("fails", source, sink, initialDelayMs=0)
    function.retryDetails.maxMessageRetries = 2
    code = "def process(input):\n    raise ValueError\n"
    client.create_producer(source).send(b"bad")
    with launch(retrying("fails", source, sink, initialDelayMs=3_600_000), code) as instance:
        assert letters(client, source, 1)[0].properties()["RECONSUMETIMES"] == "1"
        assert instance.stop() == 0
    producer = client.create_producer(f"{source}-sub-RETRY")
    producer.send(b"again", properties={"RECONSUMETIMES": "1", "REAL_TOPIC": source, "ORIGIN_MESSAGE_ID": "first"})
    with launch(function, code):
        dead = collect(client, f"{source}-sub-DLQ", 1)[0]
        assert letters(client, source, 3)[2].properties()["RECONSUMETIMES"] == "2"
    assert dead.data() == b"again"
    assert (dead.properties()["REAL_TOPIC"], dead.properties()["ORIGIN_MESSAGE_ID"]) == (source, "first")


def test_all_topics_of_a_pattern_share_their_letters(launch: Launch, client: pulsar.Client) -> None:
    """The retry letter topic is the namespace's own, and each letter tells its topic."""
    stem, sink = unique("in"), unique("out")
    sources = [f"{stem}-{letter}" for letter in "ab"]
    for source in sources:
        client.create_producer(source).send(source[-1].encode())
    function = retrying("twice.Twice", f"{stem}-[ab]", sink, initialDelayMs=10)
    function.source.inputSpecs[f"{stem}-[ab]"].isRegexPattern = True
    function.source.subscriptionName = subscription = f"sub/{stem[-12:]}"
    code = (
        "class Twice:\n"
        "    seen = set()\n"
        "    def process(self, input, context):\n"
        "        if input not in self.seen:\n"
        "            self.seen.add(input)\n"
        "            raise ValueError(input)\n"
        "        return input\n"
    )
    with launch(function, code):
        assert {message.data() for message in collect(client, sink, 2)} == {b"a", b"b"}
    sent = collect(client, f"persistent://public/default/{subscription.replace('/', '-')}-RETRY", 2)
    assert {message.properties()["REAL_TOPIC"] for message in sent} == set(sources)


def test_dead_letters_of_a_pattern_need_a_topic_outside_of_it(launch: Launch) -> None:
    """The default one would be read again for ever."""
    function = retrying("fails", "persistent://public/default/in.*", "")
    function.source.inputSpecs["persistent://public/default/in.*"].isRegexPattern = True
    function.retryDetails.maxMessageRetries = 2
    for topic in ("", "persistent://public/default/in-dead"):
        function.retryDetails.deadLetterTopic = topic
        assert "deadLetterTopic" in "".join(refusals(function))
    function.retryDetails.deadLetterTopic = "persistent://public/default/dead"
    assert not list(refusals(function))


def test_a_letter_is_read_with_the_schema_of_its_message(launch: Launch, client: pulsar.Client) -> None:
    """Written in Avro with another version than the function's own, it is the same record the second time."""
    source, sink = unique("in"), unique("out")
    older = {"type": "record", "name": "Person", "fields": [{"name": "name", "type": "string"}]}
    client.create_producer(source, schema=AvroSchema(None, older)).send({"name": "Ada"})
    code = (
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Person:\n"
        "    age: int | None = None\n"
        "    name: str = ''\n"
        "seen = set()\n"
        "def process(input: Person) -> str:\n"
        "    if input.name not in seen:\n"
        "        seen.add(input.name)\n"
        "        raise ValueError(input)\n"
        "    return f'{input.name} {input.age}'\n"
    )
    function = retrying("person", source, sink, initialDelayMs=10)
    function.source.inputSpecs[source].schemaType = "AVRO"
    with launch(function, code):
        assert collect(client, sink, 1)[0].data() == b"Ada None"
    assert letters(client, source, 1)[0].properties()["MAGNETAR_SCHEMA_VERSION"] == "0"


def test_letters_and_order_are_refused_together(launch: Launch) -> None:
    """A letter comes back out of order, so that nobody gets both."""
    function = retrying("fails", unique("in"), "")
    function.retainOrdering = True
    with launch(function, "def process(input):\n    pass\n", ready=False) as instance:
        assert "retry is refused: it needs ATLEAST_ONCE" in instance.wait_event("failed")["reason"]
        assert instance.process.wait(30) == 78
