"""A function's log records on a topic: one permanent handler, a bounded queue, and a count of what it had to drop."""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import _pulsar
import pulsar

from magnetar_instance.logs import DATE_FORMAT
from magnetar_instance.producing import instance_properties
from magnetar_instance.settings import InstanceSettings

_FORMAT = "[%(asctime)s] [%(levelname)s]: %(message)s"
_WAITING = 10_000
_DELAY_MS = 100
_END_SECONDS = 5.0


class LogTopic(logging.Handler):
    """Sends records to a topic from a thread of its own, so that no record ever waits for the broker."""

    def __init__(self, client: pulsar.Client, settings: InstanceSettings, dropped: Callable[[int], None]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT, DATE_FORMAT))
        self._dropped = dropped
        self._properties = {"instance": str(settings.instance_id), "fqn": settings.fqfn}
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_WAITING)
        self._handed = 0
        self._answered = 0
        self._closed = False
        wrapped = client.create_producer(
            settings.details.logTopic,
            compression_type=pulsar.CompressionType.LZ4,
            block_if_queue_full=True,
            send_timeout_millis=0,
            batching_enabled=True,
            batching_max_publish_delay_ms=_DELAY_MS,
            properties=instance_properties(settings),
        )
        self._producer: Any = wrapped._producer  # noqa: SLF001 - it alone has flush_async
        self._thread = threading.Thread(target=self._send, name=f"log topic {settings.fqiid}", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put a record into the queue, or count it as dropped."""
        try:
            self._queue.put_nowait((record.levelname, self.format(record).encode("utf-8", "backslashreplace")))
        except queue.Full:
            self._dropped(1)
        except Exception:  # noqa: BLE001 - as any handler does with arguments that don't fit their message
            self.handleError(record)

    def _send(self) -> None:
        while (item := self._queue.get()) is not None:
            level, text = item
            builder = _pulsar.MessageBuilder()
            builder.content(text)
            for name, value in {**self._properties, "loglevel": level}.items():
                builder.property(name, value)
            self._handed += 1
            try:
                self._producer.send_async(builder.build(), self._note_answer)
            except pulsar.PulsarException as error:
                self._note_answer(error, None)
        with contextlib.suppress(pulsar.PulsarException):
            self._producer.flush()

    def _note_answer(self, result: object, _: object) -> None:
        """Note that a record is done with; one that is too large, for example, never gets to the topic."""
        self._answered += 1
        if result != pulsar.Result.Ok and not self._closed:
            self._dropped(1)

    def close(self) -> None:
        """Send what waits, for some seconds at most, and count the rest as dropped."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=_END_SECONDS)
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            self._closed = True
            self._dropped(self._queue.qsize() + self._handed - self._answered)
        else:
            with contextlib.suppress(pulsar.PulsarException):
                self._producer.close()
        super().close()
