"""Go functions: our own instance package, built by Go, under the process runtime and against a real broker."""

import os
import signal
import time
from pathlib import Path

import anyio
import pytest
from foreign import bench, function, go, status_once
from instance_process import unique
from magnetar.runtimes.base import Pulse
from magnetar_broker.testing import RunningBroker
from requirements import requires
from supervised import Held, spec_of
from toolchains import go_examples

pytestmark = [pytest.mark.anyio, requires("go"), pytest.mark.timeout(300)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def exclaim() -> Path:
    return go_examples() / "exclaim"


async def test_a_go_function_works_and_tells_what_the_others_tell(
    pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path
) -> None:
    """Messages, user config, errors, log topic, status, figures, metrics and log are as in the other languages."""
    details = function(runtime="GO", go="x", userConfig={"ending": "?!"}, logTopic=unique("log"))
    async with bench(pulsar_broker, tmp_path, go) as found:
        running = await found.start(details, exclaim)
        assert await found.exchange(details, "a", "", "b", count=2) == ["a?!", "b?!"]
        status = await status_once(running, lambda status: status.numSuccessfullyProcessed == 2)
        assert (status.running, status.instanceId, status.numUserExceptions) == (True, "0", 1)
        assert status.latestUserExceptions[0].exceptionString == "there is nothing to exclaim"
        assert abs(status.latestUserExceptions[0].msSinceEpoch / 1000 - time.time()) < 60
        assert abs(status.lastInvocationTime / 1000 - time.time()) < 60
        metrics = await running.instance.metrics()
        assert (metrics.receivedTotal, metrics.receivedTotal_1min) == (3, 3)
        assert metrics.userMetrics["user_metric_length_sum"] == 2
        text = await running.instance.metrics_text()
        assert "# TYPE pulsar_function_received_1min_total counter" in text
        assert f'fqfn="public/default/{details.name}",instance_id="0"' in text
        assert await found.collect(details.logTopic, 2)
        assert "[INFO] main.go: exclaimed length=1" in running.instance.log_file.read_text()


async def test_an_asked_for_end_finishes_what_is_in_flight(
    pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path
) -> None:
    """Of a thousand messages each is processed, by the first instance or by its successor, and none is lost."""
    details = function(runtime="GO", go="x")
    texts = [f"m{number}" for number in range(1000)]
    async with bench(pulsar_broker, tmp_path, go) as found:
        first = await found.start(details, exclaim)
        await found.exchange(details, *texts, count=10)
        await first.instance.stop(60)
        ended = await first.instance.wait()
        assert (ended.code, ended.signal) == (0, None)
        assert "ended as it was asked to" in first.instance.log_file.read_text()
        await found.start(details, exclaim)
        await found.collect_all(details.sink.topic, {f"{text}!" for text in texts})


async def test_a_broker_that_does_not_answer_holds_no_end_up(
    fresh_pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path
) -> None:
    """With messages in flight and a broker that stands still the instance gives up and ends by itself."""
    details = function(runtime="GO", go="x")
    async with bench(fresh_pulsar_broker, tmp_path, go) as found:
        running = await found.start(details, exclaim)
        await found.exchange(details, *(f"m{number}" for number in range(1000)), count=1)
        os.kill(fresh_pulsar_broker.pid, signal.SIGSTOP)
        try:
            await running.instance.stop(60)
        finally:
            os.kill(fresh_pulsar_broker.pid, signal.SIGCONT)
        ended = await running.instance.wait()
        assert (ended.code, ended.signal) == (0, None)
        assert "ended without the broker's answer" in running.instance.log_file.read_text()


async def test_a_killed_go_instance_tells_its_signal(
    pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path
) -> None:
    """And the last lines of its log."""
    async with bench(pulsar_broker, tmp_path, go) as found:
        running = await found.start(function(runtime="GO", go="x"), exclaim)
        assert running.instance.pid is not None
        os.kill(running.instance.pid, signal.SIGKILL)
        ended = await running.instance.wait()
        assert ended.describe() == "ended by signal SIGKILL"
        assert any("subscribed and running" in line for line in ended.last_lines)


async def test_the_watchdog_is_kept_calm_and_bites_without_a_worker(
    pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path
) -> None:
    """An interval of a second: with health checks the instance goes on; when they end it ends after three seconds."""
    details = function(runtime="GO", go="x")
    async with bench(pulsar_broker, tmp_path, go, health_check_interval=1) as found:
        running = await found.start(details, exclaim)
        await running.until(lambda told: sum(isinstance(each, Pulse) for each in told) >= 5)
        assert await found.exchange(details, "a") == ["a!"]
        found.world.tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            ended = await running.instance.wait()
        assert ended.code == 0
        assert "no worker has asked for health" in running.instance.log_file.read_text()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"inputSpecs": {"persistent://public/default/x": {"schemaType": "avro"}}, "inputs": None}, "schema or serde"),
        ({"processingGuarantees": "EFFECTIVELY_ONCE"}, "EFFECTIVELY_ONCE is not for Go functions"),
    ],
    ids=["schema", "guarantee"],
)
async def test_what_a_go_function_cannot_do_is_final(
    pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path, fields: dict[str, object], words: str
) -> None:
    """No other start could help: the refusal is told in the program's own words."""
    async with bench(pulsar_broker, tmp_path, go) as found:
        refused = await found.refused(function(runtime="GO", go="x", **fields), exclaim)
        assert words in "\n".join(refused.traceback)


async def test_a_program_that_ends_at_once_is_told_in_its_own_words(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """It is retried, for it might have its reasons; a file that is no program is not."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
    program.chmod(0o755)
    text = tmp_path / "text"
    text.write_bytes(b"\x7fELF nothing more")
    async with bench(pulsar_broker, tmp_path, go) as found:
        running = await found.world.start(spec_of(function(runtime="GO", go="x"), program))
        ended = await running.instance.wait()
        assert (ended.code, ended.last_lines) == (3, ("no licence",))
        refused = await found.refused(function(runtime="GO", go="x"), text)
        assert "Exec format error" in "\n".join(refused.traceback)


async def test_nothing_is_left(pulsar_broker: RunningBroker, tmp_path: Path, exclaim: Path) -> None:
    """No process and no descriptor more after a second runtime than after a first."""

    async def once() -> Held:
        async with bench(pulsar_broker, tmp_path, go) as found:
            running = await found.start(function(runtime="GO", go="x"), exclaim)
            await running.instance.stop(60)
        return Held.now()

    first, second = await once(), await once()
    assert second.children == first.children
    assert second.descriptors <= first.descriptors
