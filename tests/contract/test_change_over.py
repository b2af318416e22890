import json
import time

import anyio
import httpx
import pytest
from coordination_fleet import Fleet, fleet_of, until
from magnetar.coordination import PulsarCoordination
from magnetar_instance.proto.function import FunctionMetaData
from pulsar_bed.bed import Standalone, requires_pulsar

FUNCTIONS = "/admin/v3/functions/public/default"
OURS = "public/functions"


def create(http: httpx.Client, standalone: Standalone, name: str) -> None:
    """Create a Java function through Pulsar's own worker, which needs a moment after its start."""
    config = {
        "className": "org.apache.pulsar.functions.api.examples.ExclamationFunction",
        "runtime": "JAVA",
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
        "userConfig": {"by": "Pulsar"},
        "parallelism": 2,
    }
    jar = (standalone.home / "examples" / "api-examples.jar").read_bytes()
    limit = time.monotonic() + 60
    while True:
        parts = {"functionConfig": (None, json.dumps(config), "application/json"), "data": ("api-examples.jar", jar)}
        answer = http.post(f"{FUNCTIONS}/{name}", files=parts)
        if answer.is_success:
            return
        assert time.monotonic() < limit, answer.text
        time.sleep(0.2)


async def change(fleet: Fleet) -> PulsarCoordination:
    """Take the fleet over, update one function and add another that is like it."""
    worker = await fleet.start("magnetar")
    assert set(worker.functions) == {"public/default/f"}
    await until(worker, lambda: {each.workerId for each in worker.assignments.values()} == {"magnetar"})
    updated = FunctionMetaData()
    updated.CopyFrom(worker.functions["public/default/f"])
    assert json.loads(updated.functionDetails.userConfig) == {"by": "Pulsar"}
    updated.version += 1
    updated.functionDetails.userConfig = json.dumps({"by": "Magnetar"})
    await worker.write(updated)
    updated.functionDetails.name = "g"
    updated.functionDetails.sink.topic = "g-out"
    updated.version = 0
    await worker.write(updated)
    await until(worker, lambda: len(worker.assignments) == 4)
    return worker


@requires_pulsar()
@pytest.mark.timeout(600)
def test_a_cluster_changes_from_pulsars_worker_to_magnetar_and_back(pulsar_standalone: Standalone) -> None:
    """Each finds the functions that the other one made, and takes their instances over."""
    standalone = pulsar_standalone
    standalone.start(worker=True)
    with httpx.Client(base_url=standalone.addresses.admin_url, timeout=60) as http:
        create(http, standalone, "f")
        standalone.stop()
        standalone.start(worker=False)

        async def main() -> None:
            async with fleet_of(standalone.addresses, OURS) as fleet:
                await change(fleet)

        anyio.run(main)
        standalone.stop()
        standalone.start(worker=True)
        assert sorted(http.get(FUNCTIONS).json()) == ["f", "g"]
        assert http.get(f"{FUNCTIONS}/f").json()["userConfig"] == {"by": "Magnetar"}
        limit = time.monotonic() + 120
        while True:
            answer = http.get("/admin/v2/worker/assignments")
            owners = answer.json() if answer.is_success else {}
            if "magnetar" not in owners and sum(map(len, owners.values())) == 4:
                break
            assert time.monotonic() < limit, owners
            time.sleep(0.5)
