"""What makes an instance fast, in numbers that no machine changes: how often it calls the client, and is called by it."""

import importlib
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _pulsar
import pulsar
import pytest
from instance_process import command_line, details, unique
from magnetar_broker.testing import RunningBroker
from magnetar_instance import runner
from magnetar_instance.arguments import parse
from magnetar_instance.functions import UserFunction
from magnetar_instance.instance import Instance

ENTRIES, IN_EACH = 50, 100
COUNT = ENTRIES * IN_EACH
FEW = COUNT // 20
"""A machine that halts the broker or a thread for a while has rounds end early, but not one in twenty messages."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what the client is asked for and which of it has it call back, each of which costs as much as ten messages."""
    counted: Counter[str] = Counter()

    def count(kind: type, name: str, what: Callable[[tuple[Any, ...]], str]) -> None:
        original = getattr(kind, name)

        def counting(own: Any, *arguments: Any) -> Any:
            counted[what(arguments)] += 1
            return original(own, *arguments)

        monkeypatch.setattr(kind, name, counting)

    count(_pulsar.Producer, "send_async", lambda given: "sent" if given[1] is None else "sent with a callback")
    count(_pulsar.Producer, "flush_async", lambda _: "flushed")
    count(_pulsar.Consumer, "receive", lambda _: "received")
    count(_pulsar.Consumer, "receive_async", lambda _: "received with a callback")
    count(_pulsar.Consumer, "acknowledge", lambda _: "acknowledged")
    return counted


def fill(client: pulsar.Client, topic: str) -> None:
    """Write entries of so many messages each."""
    producer = client.create_producer(
        topic,
        batching_enabled=True,
        batching_max_messages=IN_EACH,
        batching_max_publish_delay_ms=60_000,
        block_if_queue_full=True,
    )
    for number in range(COUNT):
        producer.send_async(b"message %d" % number, None)
    producer.flush()
    producer.close()


def test_messages_cost_the_client_one_call_each_way(
    pulsar_broker: RunningBroker,
    client: pulsar.Client,
    tmp_path: Path,
    calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message is received and its output sent without a callback; entries are acknowledged, and rounds flushed, whole."""
    monkeypatch.setattr(runner, "ROUND_SECONDS", 60.0)
    source, sink = unique("in"), unique("out")
    fill(client, source)
    calls.clear()
    arguments = command_line(details("exclaim", [source], sink), tmp_path, pulsar_broker.service_url, 0, 0, tmp_path, 0)
    settings, _ = parse(arguments)
    numbers, took_all = itertools.count(1), threading.Event()

    def exclaim(text: Any) -> str:
        if next(numbers) == COUNT:
            took_all.set()
        return f"{text}!"

    function = UserFunction(exclaim, False, importlib.import_module, lambda: None)
    instance = Instance(settings, load=lambda _: function, logger=logging.getLogger("rounds"), notify=lambda *_: None)
    thread = threading.Thread(target=instance.run)
    thread.start()
    try:
        # Nobody asks how far it is: a thread that does takes the interpreter lock from it in each call of the client.
        assert took_all.wait(60)
    finally:
        instance.stop()
        thread.join(60)
    assert not thread.is_alive()
    assert instance.status().numSuccessfullyProcessed == COUNT
    assert calls["sent"] == COUNT
    assert calls["sent with a callback"] == 0
    assert calls["received"] + calls["received with a callback"] <= COUNT + FEW
    assert calls["received with a callback"] + calls["flushed"] <= FEW
    assert ENTRIES <= calls["acknowledged"] <= COUNT // 2
