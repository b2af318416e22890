"""A broker for tests: the pytest fixtures `pulsar_broker` (one a session) and `fresh_pulsar_broker` (one a test).

Installing the distribution is enough: pytest finds them. `running_broker` serves everything else.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

_STOP_GRACE = 10.0


class RunningBroker:
    """A broker in a child process on loopback; it can be killed and started again on the same ports and data.

    It ends with the program that started it, however that ends: its standard input is a pipe which that alone holds open.
    """

    def __init__(self, data_dir: Path, arguments: Sequence[str] = ()) -> None:
        self.data_dir = data_dir
        self.service_url = ""
        self.admin_url = ""
        self._arguments = list(arguments)
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the broker and wait until it is ready. Raises RuntimeError when it does not get there."""
        port = urlsplit(self.service_url).port or 0
        admin_port = urlsplit(self.admin_url).port or 0
        command = [sys.executable, "-m", "magnetar_broker", "--data-dir", str(self.data_dir), "--format", "json"]
        command += ["--port", str(port), "--admin-port", str(admin_port), "--end-with-input", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._wait()
            raise RuntimeError("the broker did not start: its message is on standard error")
        addresses = json.loads(line)
        self.service_url, self.admin_url = addresses["broker"], addresses["admin"]

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._wait()

    def stop(self) -> int:
        """Ask it to end (SIGTERM); returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._wait()

    def restart(self) -> None:
        """Start it again on the same ports, after `kill` or `stop`."""
        self.start()

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(_STOP_GRACE)
        finally:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()


@contextmanager
def running_broker(data_dir: Path | None = None, arguments: Sequence[str] = ()) -> Iterator[RunningBroker]:
    """Run a broker while the context is open, on a directory of its own where none is given.

    `arguments` are more options of `magnetar broker`.
    """
    with TemporaryDirectory(prefix="magnetar-broker-") as temporary:
        broker = RunningBroker(data_dir or Path(temporary), arguments)
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


@pytest.fixture(scope="session")
def pulsar_broker() -> Iterator[RunningBroker]:
    """Give a broker that all tests of a session share: use topics of your own."""
    with running_broker() as broker:
        yield broker


@pytest.fixture
def fresh_pulsar_broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """Give a broker of the test's own, which it may kill."""
    with running_broker(tmp_path / "broker") as broker:
        yield broker
