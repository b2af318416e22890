"""Java and Go functions that hang: seen by what they tell when they are asked, shown by their stacks, and started again."""

import itertools
from pathlib import Path

import anyio.lowlevel
import pytest
from foreign import PATIENCE, function, go, java
from magnetar.lifecycle import Phase
from magnetar.policy.health import HealthPolicy
from magnetar_broker.testing import RunningBroker
from requirements import requires
from supervised import processes, say, supervised
from toolchains import go_examples, java_examples, java_installation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

LANGUAGES = [
    pytest.param("GO", "main.nap", marks=requires("go")),
    pytest.param("JAVA", "examples.Nap.apply", marks=[requires("java"), requires("maven")]),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def installed(runtime: str) -> None:
    """Fetch Pulsar's Java instance where there is no event loop yet."""
    if runtime == "JAVA":
        java_installation()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("runtime", "place"), LANGUAGES)
async def test_a_function_that_hangs_shows_its_stacks_and_is_started_again(
    pulsar_broker: RunningBroker, tmp_path: Path, runtime: str, place: str
) -> None:
    """One that is slow is unhealthy for a while and goes on as it is; one that never comes back is ended and replaced."""
    if runtime == "GO":
        languages, code, details = go, go_examples() / "nap", function(runtime="GO", go="x")
    else:
        languages, code, details = java, java_examples(), function(jar="x", className="examples.Nap")
    (source,) = details.source.inputSpecs
    health = HealthPolicy(stall_after=0.5, stall_timeout=8)
    async with (
        processes(
            pulsar_broker.service_url, tmp_path, languages=languages, patience=PATIENCE, health_check_interval=1
        ) as world,
        supervised(world.runtime, health=health, stop_grace=0.2, start_timeout=PATIENCE) as made,
    ):
        name = made.run(details, code)
        first = await made.until(name, Phase.RUNNING)
        await say(pulsar_broker, source, "4")
        assert "none of 1 message(s)" in (await made.until(name, Phase.UNHEALTHY)).reason
        assert (await made.until(name, Phase.RUNNING)).pid == first.pid
        await say(pulsar_broker, source, "1000")
        await made.until_restarted(name)
        assert any("finished no message for 8 s" in event.reason for event in made.supervisor.events(name))
        while place not in "".join(
            each.read_text() for each in itertools.chain(*map(tmp_path.rglob, ("*.log", "*.out")))
        ):
            await anyio.lowlevel.checkpoint()
