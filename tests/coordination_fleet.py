"""Workers of one fleet in one process, or in processes of their own that can be killed."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination import CoordinationSettings, PulsarCoordination, WorkerInfo
from magnetar.pulsar_client import PulsarClient
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData
from pulsar_bed.bed import Addresses


def function(name: str, version: int = 0, parallelism: int = 1) -> FunctionMetaData:
    """Return metadata that is enough for coordination."""
    details = FunctionDetails(tenant="public", namespace="default", name=name, parallelism=parallelism)
    return FunctionMetaData(functionDetails=details, version=version)


def fast(worker_id: str, namespace: str, **changes: Any) -> CoordinationSettings:
    """Return settings with which a fleet reacts at once."""
    quick = {
        "failure_check_interval": 0.1,
        "reschedule_timeout": 0.3,
        "poll_interval": 0.1,
        "compaction_interval": 0,
        "write_patience": 2,
    }
    return CoordinationSettings(worker_id, "localhost", 6750, namespace=namespace, **{**quick, **changes})


async def until(worker: PulsarCoordination, holds: Callable[[], bool]) -> None:
    """Wait until something holds, looking after each change that the worker sees."""
    with anyio.fail_after(30):
        while not holds():
            await worker.changed(worker.generation)


def placed(worker: PulsarCoordination) -> dict[str, str]:
    """Return who has which instance, as this worker sees it."""
    return {name.rpartition("/")[2]: each.workerId for name, each in worker.assignments.items()}


def versions(worker: PulsarCoordination) -> dict[str, int]:
    """Return the versions of all functions, as this worker sees them."""
    return {name.rpartition("/")[2]: each.version for name, each in worker.functions.items()}


class Fleet:
    """Starts and stops workers; a write of one that does not lead goes to the leader by a plain call."""

    def __init__(self, addresses: Addresses, namespace: str, tasks: anyio.abc.TaskGroup) -> None:
        self.addresses = addresses
        self.namespace = namespace
        self.forwarded: list[str] = []
        self._tasks = tasks
        self._workers: dict[str, tuple[PulsarCoordination, anyio.Event, anyio.Event]] = {}

    def name_of(self, worker: PulsarCoordination) -> str:
        """Return a worker's id."""
        return next(name for name, found in self._workers.items() if found[0] is worker)

    async def start(self, worker_id: str, **changes: Any) -> PulsarCoordination:
        """Start a worker; returns once it has settled."""
        settings = fast(worker_id, self.namespace, **changes)
        await self._tasks.start(self._run, settings)
        return self._workers[worker_id][0]

    async def settled(self) -> tuple[PulsarCoordination, PulsarCoordination]:
        """Return the leader and another worker, once the one that the broker has chosen leads and nobody else does.

        The embedded broker chooses who came first, Pulsar by the names.
        """
        with anyio.fail_after(30):
            while True:
                running = {name: worker for name, (worker, _, stopped) in self._workers.items() if not stopped.is_set()}
                chosen = await next(iter(running.values())).leader()
                leading = [name for name, worker in running.items() if worker.is_leader]
                if chosen is not None and leading == [chosen.worker_id]:
                    leader = running.pop(chosen.worker_id)
                    return leader, next(iter(running.values()), leader)

    async def stop(self, worker_id: str) -> None:
        """Close a worker."""
        _, stop, stopped = self._workers[worker_id]
        stop.set()
        await stopped.wait()

    async def _run(self, settings: CoordinationSettings, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        stop, stopped = anyio.Event(), anyio.Event()
        async with (
            BrokerAdmin(self.addresses.admin_url) as admin,
            PulsarClient(self.addresses.service_url) as client,
            PulsarCoordination(settings, admin, client, self._forward) as worker,
        ):
            self._workers[settings.worker_id] = worker, stop, stopped
            task_status.started()
            await stop.wait()
        stopped.set()

    async def _forward(self, leader: WorkerInfo, metadata: FunctionMetaData, *, delete: bool) -> None:
        self.forwarded.append(leader.worker_id)
        worker = self._workers[leader.worker_id][0]
        await (worker.delete(metadata) if delete else worker.write(metadata))


@asynccontextmanager
async def fleet_of(addresses: Addresses, namespace: str) -> AsyncIterator[Fleet]:
    """Give a fleet whose workers are all stopped at the end."""
    async with anyio.create_task_group() as tasks:
        fleet = Fleet(addresses, namespace, tasks)
        try:
            yield fleet
        finally:
            for _, stop, _ in fleet._workers.values():
                stop.set()


_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, worker_id: str, namespace: str, addresses: Addresses) -> None:
        arguments = [worker_id, namespace, addresses.service_url, addresses.admin_url]
        program = [sys.executable, __file__, *arguments]
        self._process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "settled\n"

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def _main(settings: CoordinationSettings, addresses: Addresses) -> None:
    async def nobody(leader: WorkerInfo, metadata: FunctionMetaData, *, delete: bool) -> None:
        raise AssertionError

    async with (
        BrokerAdmin(addresses.admin_url) as admin,
        PulsarClient(addresses.service_url) as client,
        PulsarCoordination(settings, admin, client, nobody),
    ):
        print("settled", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(_main, fast(*sys.argv[1:3]), Addresses(*sys.argv[3:]))
