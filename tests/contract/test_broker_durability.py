"""What survives: kill -9 under load again and again, a full disk, a directory that can't be written."""

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pulsar
import pytest
from magnetar_broker.testing import RunningBroker, running_broker

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
ROUNDS = int(os.environ.get("MAGNETAR_SOAK_ROUNDS", "10"))
TOPIC = "persistent://public/default/t"


class Load:
    """One producer that sends as fast as it may, and a book of what was receipted."""

    def __init__(self, url: str) -> None:
        self.receipted: list[int] = []
        self._next = 0
        self._client = pulsar.Client(url, logger=QUIET)
        self._producer = self._client.create_producer(
            TOPIC, block_if_queue_full=True, batching_enabled=True, batching_max_messages=50, send_timeout_millis=0
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            number = self._next
            self._next += 1
            self._producer.send_async(b"%d" % number, lambda result, _, number=number: self._told(result, number))
            if number % 200 == 0:
                self._stop.wait(0.002)

    def _told(self, result: pulsar.Result, number: int) -> None:
        if result == pulsar.Result.Ok:
            self.receipted.append(number)

    def wait_for(self, count: int) -> None:
        """Return when that many more were receipted."""
        goal, deadline = len(self.receipted) + count, time.monotonic() + 50
        while len(self.receipted) < goal:
            assert time.monotonic() < deadline, f"{len(self.receipted)} of {goal} receipts"
            self._stop.wait(0.01)

    def finish(self) -> int:
        """Stop, wait for what is on its way, and return how many were sent."""
        self._stop.set()
        self._thread.join()
        self._producer.flush()
        self._client.close()
        return self._next


@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_nothing_receipted_is_lost_however_often_the_broker_is_killed(fresh_pulsar_broker: RunningBroker) -> None:
    """Under load, kill -9 and start again: all receipts hold, nothing comes that was not sent, and order holds."""
    broker = fresh_pulsar_broker
    setup = pulsar.Client(broker.service_url, logger=QUIET)
    setup.subscribe(TOPIC, "s").close()
    setup.close()
    load = Load(broker.service_url)
    for _ in range(ROUNDS):
        load.wait_for(500)
        broker.kill()
        broker.restart()
    load.wait_for(1)
    sent = load.finish()
    client = pulsar.Client(broker.service_url, logger=QUIET)
    consumer = client.subscribe(TOPIC, "s", receiver_queue_size=5000)
    first_seen: dict[int, None] = {}
    last = -1
    while last < sent - 1:
        message = consumer.receive(10_000)
        last = max(last, int(message.data()))
        first_seen.setdefault(int(message.data()))
    assert set(load.receipted) <= first_seen.keys()
    assert list(first_seen) == sorted(first_seen)
    assert max(first_seen) < sent
    client.close()


@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_acknowledgements_hold_when_the_broker_is_killed(fresh_pulsar_broker: RunningBroker) -> None:
    """After the interval in which cursors are written, nothing that was acknowledged comes again."""
    broker = fresh_pulsar_broker
    for round_number in range(max(ROUNDS // 3, 2)):
        client = pulsar.Client(broker.service_url, logger=QUIET)
        topic = f"{TOPIC}-{round_number}"
        consumer = client.subscribe(topic, "s", pulsar.ConsumerType.Shared)
        producer = client.create_producer(topic, batching_enabled=False)
        for number in range(20):
            producer.send(b"%d" % number)
        for message in [consumer.receive(5000) for _ in range(20)]:
            if int(message.data()) % 3:
                consumer.acknowledge(message)
        consumer.close()
        client.close()
        wait_for_backlog(broker, f"{topic.removeprefix('persistent://')}", 7)
        time.sleep(0.3)
        broker.kill()
        broker.restart()
        client = pulsar.Client(broker.service_url, logger=QUIET)
        again = client.subscribe(topic, "s", pulsar.ConsumerType.Shared)
        assert [int(again.receive(5000).data()) for _ in range(7)] == [0, 3, 6, 9, 12, 15, 18]
        with pytest.raises(pulsar.Timeout):
            again.receive(100)
        client.close()


def wait_for_backlog(broker: RunningBroker, path: str, expected: int) -> None:
    deadline = time.monotonic() + 20
    url = f"{broker.admin_url}/admin/v2/persistent/{path}/stats"
    while httpx.get(url).json()["subscriptions"]["s"]["msgBacklog"] != expected:
        assert time.monotonic() < deadline


def test_a_full_disk_is_told_and_heals_without_a_restart(tmp_path: Path) -> None:
    """A producer is held while the disk refuses; others' messages can be read; room lets everything go on."""
    with running_broker(tmp_path / "data") as broker:
        client = pulsar.Client(broker.service_url, logger=QUIET, operation_timeout_seconds=3)
        consumer = client.subscribe(f"{TOPIC}-other", "s")
        client.create_producer(f"{TOPIC}-other").send(b"from before")
        producer = client.create_producer(TOPIC, batching_enabled=False, send_timeout_millis=0)
        producer.send(b"one")
        # The process may write no file beyond this size: as a full disk, for this process alone.
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
        results: list[pulsar.Result] = []
        for number in range(10):
            producer.send_async(b"%d" % number + b"." * 1000, lambda result, _: results.append(result))
        assert consumer.receive(5000).data() == b"from before"
        with pytest.raises(pulsar.PulsarException):
            client.create_producer(f"{TOPIC}-third")
        response = httpx.put(f"{broker.admin_url}/admin/v2/tenants/new", json={})
        assert response.status_code == 500
        assert "make room" in response.json()["reason"]
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        producer.flush()
        assert results == [pulsar.Result.Ok] * 10
        broker.kill()
        broker.restart()
        reader = client.create_reader(TOPIC, pulsar.MessageId.earliest)
        found = [reader.read_next(5000).data()[:3] for _ in range(11)]
        assert found == [b"one", *(b"%d.." % number for number in range(10))]
        assert httpx.get(f"{broker.admin_url}/admin/v2/tenants/new").status_code in {200, 404}
        client.close()


def failed_start(data_dir: Path) -> str:
    command = [sys.executable, "-m", "magnetar_broker", "--data-dir", str(data_dir), "--port", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_place_that_is_no_directory_is_named(tmp_path: Path) -> None:
    """Whoever runs the broker reads what is wrong with the data directory."""
    file = tmp_path / "file"
    file.write_text("x")
    assert str(file) in failed_start(file)
    assert str(file) in failed_start(file / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere: the next test stands in")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    """The message says that it can't be written."""
    tmp_path.chmod(0o500)
    assert "Permission denied" in failed_start(tmp_path / "data")


def test_a_read_only_file_system_is_named() -> None:
    """The message says so: /proc takes no files, whoever asks."""
    assert "can be written" in failed_start(Path("/proc/magnetar"))


def test_a_second_broker_on_the_same_directory_is_refused(fresh_pulsar_broker: RunningBroker) -> None:
    """Two brokers on one journal would destroy it; the message names the first."""
    said = failed_start(fresh_pulsar_broker.data_dir)
    assert str(fresh_pulsar_broker.pid) in said


def test_a_damaged_entry_harms_no_other_topic(fresh_pulsar_broker: RunningBroker) -> None:
    """A flipped bit costs one entry; the rest, and the other topic, are delivered."""
    broker = fresh_pulsar_broker
    client = pulsar.Client(broker.service_url, logger=QUIET)
    for topic in (TOPIC, f"{TOPIC}-other"):
        client.subscribe(topic, "s").close()
        producer = client.create_producer(topic, batching_enabled=False)
        for number in range(5):
            producer.send(b"message %d of %s" % (number, topic.encode()))
    client.close()
    broker.stop()
    path = min((broker.data_dir / "journal").iterdir())
    data = bytearray(path.read_bytes())
    data[data.index(b"message 2 of %s" % TOPIC.encode()) + 3] ^= 1
    path.write_bytes(data)
    broker.restart()
    client = pulsar.Client(broker.service_url, logger=QUIET)
    for topic, expected in ((TOPIC, [0, 1, 3, 4]), (f"{TOPIC}-other", [0, 1, 2, 3, 4])):
        consumer = client.subscribe(topic, "s")
        assert [int(consumer.receive(5000).data().split()[1]) for _ in expected] == expected
        with pytest.raises(pulsar.Timeout):
            consumer.receive(100)
    client.close()
