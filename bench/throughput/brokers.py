"""The brokers that rates are measured on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from magnetar_broker.testing import running_broker
from pulsar_bed.bed import Standalone, set_up


class Broker(Protocol):
    """Where a broker is."""

    @property
    def service_url(self) -> str:
        """Where its clients connect to."""

    @property
    def admin_url(self) -> str:
        """Where its REST interface is."""


@contextmanager
def started(*, pulsar: bool) -> Iterator[Broker]:
    """Give a broker of one's own: Magnetar's, or a real Pulsar that Maven fetches at the first time."""
    if not pulsar:
        with running_broker() as broker:
            yield broker
        return
    with TemporaryDirectory(prefix="magnetar-bench-") as folder:
        standalone = Standalone(set_up(), Path(folder))
        standalone.start(worker=False)
        try:
            yield standalone.addresses
        finally:
            standalone.stop()
