import json
from pathlib import Path
from string import ascii_lowercase

import anyio
import anyio.to_thread
import httpx
import pytest
from coordination_fleet import function, until
from magnetar_instance.proto.function import FunctionDetails
from pulsar_bed.bed import Standalone, requires_pulsar
from rest_fleet import FleetWorker, fleet_worker

FUNCTIONS = "/admin/v3/functions/public/default"


async def create_at_pulsars(http: httpx.AsyncClient, standalone: Standalone, name: str) -> None:
    """Create a Java function through Pulsar's own worker, which needs a moment after its start."""
    config = {
        "className": "org.apache.pulsar.functions.api.examples.ExclamationFunction",
        "runtime": "JAVA",
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
    }
    jar = (standalone.home / "examples" / "api-examples.jar").read_bytes()
    with anyio.fail_after(60):
        while True:
            parts = {"functionConfig": (None, json.dumps(config), "application/json"), "data": ("e.jar", jar)}
            if (await http.post(f"{FUNCTIONS}/{name}", files=parts)).is_success:
                return


async def both_lead(ours: FleetWorker, http: httpx.AsyncClient, standalone: Standalone, name: str) -> str:
    """Write through whoever does not lead; returns who led."""
    coordination = ours.coordination
    leader = await coordination.leader()
    assert leader is not None
    if leader.worker_id == ours.functions.worker.worker_id:
        await until(coordination, lambda: coordination.is_leader)
        await create_at_pulsars(http, standalone, name)
        await until(coordination, lambda: f"public/default/{name}" in coordination.functions)
        return "magnetar"
    # Without instances, so that Pulsar's worker does not look for a package that is not there.
    metadata = function(name, parallelism=0)
    metadata.functionDetails.componentType = FunctionDetails.FUNCTION
    await coordination.write(metadata)
    assert f"public/default/{name}" in coordination.functions
    assert name in (await http.get(FUNCTIONS)).json()
    return "pulsar"


@requires_pulsar()
@pytest.mark.timeout(600)
async def test_pulsars_worker_and_magnetar_are_one_fleet(pulsar_standalone: Standalone, tmp_path: Path) -> None:
    """Whichever leads writes what the other one was asked for, and both list the same."""
    await anyio.to_thread.run_sync(lambda: pulsar_standalone.start(worker=True))
    addresses = pulsar_standalone.addresses
    led: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=addresses.admin_url, timeout=60) as http:
        await create_at_pulsars(http, pulsar_standalone, "first")
        # The broker draws lots by the workers' names, and Pulsar's is another each time: one of so many of ours wins it.
        for name in ascii_lowercase:
            async with fleet_worker(addresses, "public/functions", f"magnetar-{name}", tmp_path / name) as ours:
                assert "public/default/first" in ours.coordination.functions
                assert len(await ours.coordination.members()) == 2
                led[await both_lead(ours, http, pulsar_standalone, f"f-{name}")] = name
            if len(led) == 2:
                break
        assert led.keys() == {"magnetar", "pulsar"}
        assert set((await http.get(FUNCTIONS)).json()) >= {"first", *(f"f-{name}" for name in led.values())}
