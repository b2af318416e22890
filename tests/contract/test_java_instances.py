"""Java functions: Pulsar's unmodified Java instance under the process runtime and against a real broker."""

import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from foreign import bench, function, java, status_once
from instance_process import unique
from magnetar.errors import RefusedError
from magnetar.runtimes.base import Ready
from magnetar.runtimes.process.java import JavaLanguage
from magnetar_broker.testing import RunningBroker
from requirements import requires
from supervised import process_settings, spec_of
from toolchains import java_examples, java_installation, java_settings, pulsars_examples

pytestmark = [pytest.mark.anyio, requires("java"), requires("maven"), pytest.mark.timeout(400)]
PULSARS = "org.apache.pulsar.functions.api.examples"
EXAMPLES = {"ContextFunction": {"output": None}, "UserConfigFunction": {"userConfig": {"WhatToWrite": "configured"}}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _installation() -> None:
    java_installation()


@pytest.fixture(scope="module")
def jar() -> Path:
    return java_examples()


@pytest.fixture(scope="module")
def examples() -> Path:
    return pulsars_examples()


async def test_a_java_function_works_and_tells_what_the_others_tell(
    pulsar_broker: RunningBroker, tmp_path: Path, jar: Path
) -> None:
    """Messages, user config, secrets, errors, log topic, status, figures, metrics, log and prints."""
    details = function(
        jar="x",
        className="examples.Exclaim",
        userConfig={"ending": "?!"},
        secrets={"word": "hidden"},
        logTopic=unique("log"),
    )
    async with bench(pulsar_broker, tmp_path, java) as found:
        running = await found.start(details, jar)
        assert await found.exchange(details, "a", "", "b", "secret", count=3) == ["a?!", "b?!", "hidden"]
        status = await status_once(running, lambda status: status.numSuccessfullyProcessed == 3)
        assert (status.running, status.instanceId) == (True, "0")
        assert status.numUserExceptions >= 1
        assert "there is nothing to exclaim" in status.latestUserExceptions[0].exceptionString
        assert abs(status.latestUserExceptions[0].msSinceEpoch / 1000 - time.time()) < 60
        assert abs(status.lastInvocationTime / 1000 - time.time()) < 60
        metrics = await running.instance.metrics()
        assert metrics.receivedTotal_1min >= 4
        assert metrics.userMetrics["user_metric_length_sum"] == 2
        text = await running.instance.metrics_text()
        assert "# TYPE pulsar_function_received_1min_total counter" in text
        assert "\npulsar_function_user_metric_sum{" in text
        assert await found.collect(details.logTopic, 1)
        log = running.instance.log_file
        assert "exclaimed 1 letters" in log.read_text()
        assert re.search(r"^\S+T\S+,\d{3}[+-]\d{4} \[.+\] INFO  stdout - printed a$", _printed(log), re.MULTILINE)
        await running.instance.stop(60)
        ended = await running.instance.wait()
        assert ended.signal != signal.SIGKILL


async def test_the_log_level_changes_while_a_java_function_runs(
    pulsar_broker: RunningBroker, tmp_path: Path, jar: Path
) -> None:
    """log4j looks at its second file again: debug records come, and after a while none any more."""
    details = function(jar="x", className="examples.Exclaim", userConfig={"ending": "!"})
    async with bench(pulsar_broker, tmp_path, java) as found:
        running = await found.start(details, jar)
        log = running.instance.log_file
        debugged = re.compile(r" DEBUG \S+ - ")

        async def exchanged() -> str:
            at = log.stat().st_size
            assert await found.exchange(details, "a", count=1) == ["a!"]
            return log.read_text()[at:]

        with anyio.fail_after(120):
            assert not debugged.search(await exchanged())
            assert running.instance.set_log_level("DEBUG", None)
            while not debugged.search(await exchanged()):
                pass
            assert running.instance.set_log_level("DEBUG", 0.1)
            while debugged.search(await exchanged()):
                pass
        levels = log.with_name(f".{log.stem}.levels.xml")
        assert levels.is_file()
        await running.instance.stop(60)
        await running.instance.wait()
        assert not levels.exists()


def _printed(log: Path) -> str:
    return log.with_suffix(".out").read_text()


@pytest.mark.parametrize(
    ("fields", "sent", "received"),
    [
        ({"className": "examples.Reverse"}, ["abc"], ["cba"]),
        ({"className": "examples.Join", "windowConfig": {"windowLengthCount": 3}}, ["a", "b", "c"], ["a+b+c"]),
        ({"className": "examples.Reverse", "processingGuarantees": "EFFECTIVELY_ONCE"}, ["abc", "de"], ["cba", "ed"]),
        ({"className": "examples.Reverse", "processingGuarantees": "ATMOST_ONCE"}, ["abc"], ["cba"]),
    ],
    ids=["java.util.function", "window", "effectively once", "at most once"],
)
async def test_kinds_of_java_functions(
    pulsar_broker: RunningBroker,
    tmp_path: Path,
    jar: Path,
    fields: dict[str, object],
    sent: list[str],
    received: list[str],
) -> None:
    """Plain functions of Java, windows and every guarantee."""
    details = function(jar="x", **fields)
    async with bench(pulsar_broker, tmp_path, java) as found:
        await found.start(details, jar)
        assert await found.exchange(details, *sent, count=len(received)) == received


@pytest.mark.parametrize(
    ("name", "sent", "received"),
    [
        ("ExclamationFunction", ["a", "b"], ["a!", "b!"]),
        ("JavaNativeExclamationFunction", ["a"], ["a!"]),
        ("ContextFunction", ["a"], []),
        ("UserConfigFunction", ["a"], ["configured"]),
        ("LoggingFunction", ["a"], ["a!"]),
    ],
)
async def test_pulsars_own_examples_run(
    pulsar_broker: RunningBroker, tmp_path: Path, examples: Path, name: str, sent: list[str], received: list[str]
) -> None:
    """Their published jar, unchanged."""
    details = function(jar="x", className=f"{PULSARS}.{name}", **EXAMPLES.get(name, {}))
    async with bench(pulsar_broker, tmp_path, java) as found:
        running = await found.start(details, examples)
        assert await found.exchange(details, *sent, count=len(received)) == received
        await status_once(running, lambda status: status.numSuccessfullyProcessed == len(sent))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"className": "examples.Missing"}, "Cannot resolve type description for examples.Missing"),
        ({"className": "examples.NoFunction"}, "typeArgsList"),
        ({"className": "examples.Reverse", "runtimeFlags": "-XX:+Nonsense"}, "Unrecognized VM option 'Nonsense'"),
    ],
    ids=["class", "interface", "flag"],
)
async def test_what_can_never_run_is_told_in_javas_words(
    pulsar_broker: RunningBroker, tmp_path: Path, jar: Path, fields: dict[str, object], words: str
) -> None:
    """It is final, and was never said to be ready."""
    async with bench(pulsar_broker, tmp_path, java) as found:
        running = await found.world.start(spec_of(function(jar="x", **fields), jar))
        ended = await running.instance.wait()
        assert words in "\n".join(ended.last_lines)
        await running.until(bool)
        assert Ready() not in running.told
        assert words in "\n".join(running.told[-1].traceback)


async def test_a_killed_java_instance_tells_its_signal(pulsar_broker: RunningBroker, tmp_path: Path, jar: Path) -> None:
    """As any process."""
    async with bench(pulsar_broker, tmp_path, java) as found:
        running = await found.start(function(jar="x", className="examples.Reverse"), jar)
        os.kill(running.instance.pid or 0, signal.SIGKILL)
        assert (await running.instance.wait()).describe() == "ended by signal SIGKILL"


def test_pulsars_examples_that_use_state_are_refused(examples: Path, tmp_path: Path) -> None:
    """Their state is in BookKeeper, and there is none."""
    details = function(jar="x", className=f"{PULSARS}.WordCountFunction")
    settings = java_settings()
    language = JavaLanguage(process_settings("pulsar://localhost:1", tmp_path), settings)
    with pytest.raises(RefusedError, match="uses state"):
        language.admit(details, examples)
    with pytest.raises(RefusedError, match="bytes of memory: ask for less"):
        JavaLanguage(language.settings, replace(settings, host_memory=1)).admit(details, examples)
