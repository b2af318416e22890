"""Triggering: one message into a function and the output that it makes of it."""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import BrokerRefusedError, RefusedError, TimedOutError
from magnetar.functions.context import FunctionsContext
from magnetar.model.names import FunctionName, full_topic
from magnetar.pulsar_client import Message, MessageId, PulsarClient, Reader

_NOT_FOUND = 404
_INPUT_ID, _INPUT_TOPIC = "__pfn_input_msg_id__", "__pfn_input_topic__"


async def trigger(context: FunctionsContext, name: FunctionName, data: bytes | None, topic: str | None) -> bytes | None:
    """Send a message to a function's input and return what comes out of it; None for a function without output.

    `topic` may be left out when there is but one input. Any number of calls may be under way on one function.
    Raises UnknownFunctionError, RefusedError, TimedOutError when nothing came out in time.
    """
    details = context.metadata(name).functionDetails
    if data is None:
        raise RefusedError("Function in trigger function has no data: send data or dataStream")
    chosen = _input(details, topic)
    await _check_ready(context, chosen)
    if not details.sink.topic:
        await _send(context.client, chosen, data)
        return None
    async with _reading(context.client, details.sink.topic) as reader:
        sent = await _send(context.client, chosen, data)
        with anyio.move_on_after(context.settings.trigger_timeout):
            while not _comes_of(message := await reader.read(), chosen, sent):
                pass
            return message.data
    raise TimedOutError(
        f"Request Timed Out: nothing came out of {name.fqfn} for this message in {context.settings.trigger_timeout:g} s; "
        "its status and log say why"
    )


def _input(details: FunctionDetails, topic: str | None) -> str:
    inputs = details.source.inputSpecs
    if topic is None:
        if len(inputs) != 1:
            raise RefusedError(f"Function has multiple topics: name one of {', '.join(sorted(inputs))} as topic")
        topic = next(iter(inputs))
    elif topic not in inputs:
        raise RefusedError(
            f"Function in trigger function has unidentified topic {topic!r}: {', '.join(sorted(inputs))}"
        )
    if inputs[topic].isRegexPattern:
        raise RefusedError(f"Function in trigger function has the pattern {topic!r} as input, no topic to send to")
    return full_topic(topic)


async def _check_ready(context: FunctionsContext, topic: str) -> None:
    try:
        await context.admin.subscriptions(topic)
    except BrokerRefusedError as error:
        if error.status == _NOT_FOUND:
            raise RefusedError(
                f"Function in trigger function is not ready: none of its instances reads {topic} yet"
            ) from None
        raise RefusedError(f"Function in trigger function is not ready: {error}") from None


@asynccontextmanager
async def _reading(client: PulsarClient, topic: str) -> AsyncIterator[Reader]:
    reader = await client.reader(full_topic(topic))
    try:
        yield reader
    finally:
        await reader.close()


async def _send(client: PulsarClient, topic: str, data: bytes) -> MessageId:
    try:
        producer = await client.create_producer(topic)
        try:
            return await producer.send(data)
        finally:
            await producer.close()
    except BrokerRefusedError as error:
        raise RefusedError(f"the message was not taken by {topic}: {error}") from None


def _comes_of(message: Message, topic: str, sent: MessageId) -> bool:
    """Whether a message was made of the one that was sent; of a partitioned topic the partition is named."""
    origin = message.properties.get(_INPUT_TOPIC, "")
    if origin != topic and not origin.startswith(f"{topic}-partition-"):
        return False
    try:
        place = MessageId.deserialize(base64.b64decode(message.properties.get(_INPUT_ID, ""), validate=True))
    except (binascii.Error, ValueError):
        return False
    return (place.ledger_id, place.entry_id) == (sent.ledger_id, sent.entry_id)
