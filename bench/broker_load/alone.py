"""What the broker costs by itself: start, memory, and a client that speaks the protocol raw."""

import time

from magnetar_broker.testing import running_broker
from raw_client import processor_seconds, raw_client, resident

from bench.report import Figure


def backlog(count: int) -> list[Figure]:
    """Publish messages of 100 bytes, each by itself, that nobody reads."""
    with running_broker() as broker, raw_client(broker) as client:
        before = processor_seconds(broker)
        client.fill(count)
        cpu = processor_seconds(broker) - before
        memory = resident(broker)
        broker.kill()
        started = time.perf_counter()
        broker.restart()
        opened = time.perf_counter() - started
    return [
        Figure(f"memory with {count} unread messages", (memory,), "MiB", "< 150"),
        Figure("CPU of one single message, published", (cpu / count * 1e6,), "µs"),
        Figure(f"open after a crash with {count} unread messages", (opened,), "s"),
    ]


def idle_topics(count: int) -> list[Figure]:
    with running_broker() as broker:
        with raw_client(broker) as client:
            client.subscribe_each(count)
        memory = resident(broker)
        broker.stop()
        started = time.perf_counter()
        broker.restart()
        opened = time.perf_counter() - started
        before = processor_seconds(broker)
        time.sleep(10)
        idle = (processor_seconds(broker) - before) * 10
    return [
        Figure(f"memory with {count} idle topics", (memory,), "MiB", "< 150"),
        Figure(f"open with {count} idle topics", (opened,), "s", "< 2"),
        Figure(f"CPU with {count} idle topics", (idle,), "% of a core"),
    ]
