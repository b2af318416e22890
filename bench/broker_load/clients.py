"""The official clients as loads. A clock runs while messages do: producers and consumers are made before it starts."""

import subprocess
import threading
import time
from typing import Protocol

import pulsar
from foreign_clients import java_command

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


class Load(Protocol):
    """Puts load on a broker with one of the clients."""

    name: str

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        """Return messages per second, from the first one sent to the last one receipted."""

    def consume(self, topic: str, count: int) -> float:
        """Return messages per second, from the first one received to the last."""

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        """Publish and consume at once; return messages per second, from the first one sent to the last one received."""

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        """Return the milliseconds from when each message was due to be sent to when it was received.

        A client or broker that stalls delays those that were due in the meantime: they count with all of their delay.
        """

    def close(self) -> None:
        """End the client."""


class PythonLoad:
    """The official Python client."""

    name = "python"

    def __init__(self, url: str) -> None:
        self._client = pulsar.Client(url, logger=QUIET)

    def _producer(self, topic: str, *, batched: bool) -> pulsar.Producer:
        return self._client.create_producer(
            topic,
            batching_enabled=batched,
            batching_max_publish_delay_ms=1,
            block_if_queue_full=True,
            send_timeout_millis=0,
            max_pending_messages=5000,
        )

    def _consumer(self, topic: str) -> pulsar.Consumer:
        position = pulsar.InitialPosition.Earliest
        return self._client.subscribe(topic, "load", receiver_queue_size=5000, initial_position=position)

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        producer = self._producer(topic, batched=batched)
        start = time.perf_counter()
        _send(producer, count, size)
        taken = time.perf_counter() - start
        producer.close()
        return count / taken

    def consume(self, topic: str, count: int) -> float:
        consumer = self._consumer(topic)
        message = consumer.receive(60_000)
        start = time.perf_counter()
        for _ in range(count - 1):
            message = consumer.receive(60_000)
        taken = time.perf_counter() - start
        consumer.acknowledge_cumulative(message)
        consumer.close()
        return (count - 1) / taken

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        consumer, producer = self._consumer(topic), self._producer(topic, batched=batched)
        sender = threading.Thread(target=_send, args=(producer, count, size))
        start = time.perf_counter()
        sender.start()
        for _ in range(count):
            message = consumer.receive(60_000)
        taken = time.perf_counter() - start
        sender.join()
        consumer.acknowledge_cumulative(message)
        producer.close()
        consumer.close()
        return count / taken

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        consumer, producer = self._consumer(topic), self._producer(topic, batched=batched)
        first = time.perf_counter() + 0.01
        due, taken = [first + number / rate for number in range(count)], [0.0] * count

        def receive() -> None:
            for number in range(count):
                message = consumer.receive(60_000)
                taken[number] = (time.perf_counter() - due[number]) * 1000
                consumer.acknowledge(message)

        receiver = threading.Thread(target=receive)
        receiver.start()
        data = b"." * size
        for moment in due:
            time.sleep(max(0.0, moment - time.perf_counter()))
            producer.send_async(data, None)
        receiver.join()
        producer.close()
        consumer.close()
        return tuple(taken)

    def close(self) -> None:
        self._client.close()


def _send(producer: pulsar.Producer, count: int, size: int) -> None:
    data = b"." * size
    for _ in range(count):
        producer.send_async(data, None)
    producer.flush()


class JavaLoad:
    """The official Java client, in a process of its own."""

    name = "java"

    def __init__(self, url: str) -> None:
        command = [*java_command("broker.Load", "-Xmx768m"), url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def _ask(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(str(word) for word in words) + "\n")
        return self._process.stdout.readline()

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        return float(self._ask("publish", topic, count, size, str(batched).lower()))

    def consume(self, topic: str, count: int) -> float:
        return float(self._ask("consume", topic, count))

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        return float(self._ask("pipe", topic, count, size, str(batched).lower()))

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        answer = self._ask("latency", topic, count, size, str(batched).lower(), rate)
        return tuple(float(word) for word in answer.split())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
