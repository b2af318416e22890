"""Our own supervision without a worker around it: `magnetar_children.py DIRECTORY` runs the commands of its commands.json.

The children are foreign programs that say nothing: they stay in the phase `starting`, which has no deadline here.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
from magnetar.log_files.policy import LogPolicy
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import log_to, worker_logger
from magnetar.policy.restart import RestartPolicy
from magnetar.processes.launcher import Launcher
from magnetar.processes.subreaper import Subreaper
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.runtime import ProcessRuntime
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.supervisor import Supervisor
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData


@dataclass(frozen=True)
class Commands:
    """A language whose instances are the commands, by number."""

    commands: list[list[str]]
    can_wait = False

    def admit(self, details: FunctionDetails, package: Path) -> None:
        """Admit everything."""

    def launch(self, spec: InstanceSpec, place: Place) -> Launch:
        command = self.commands[spec.instance_id]
        return Launch(command, dict(os.environ), place.log_file, linked=True, rotation="in-place", stacks_end_it=True)


async def _nothing(_: object) -> None:
    """Clean up nothing."""


async def main(directory: Path) -> None:
    commands = list(json.loads((directory / "commands.json").read_text()).values())
    details = FunctionDetails(tenant="t", namespace="n", name="child", runtime=FunctionDetails.Runtime.GO)
    logger = worker_logger()
    package = directory / "package"
    package.touch()

    async def fetch(_: object) -> Path:
        return package

    settings = ProcessSettings(
        "pulsar://127.0.0.1:1",
        "bench",
        directory / "logs",
        dict(os.environ),
        directory / "downloads",
        directory / "records",
        zygote=False,
    )
    with Subreaper().installed() as subreaper, anyio.open_signal_receiver(signal.SIGTERM) as asked:
        async with (
            Launcher(subreaper=subreaper, home=directory) as launcher,
            LogRotator(LogPolicy(files=10), logger) as rotator,
            ProcessRuntime(settings, launcher, {"GO": Commands(commands)}, rotator=rotator, logger=logger) as runtime,
            Supervisor(
                SupervisionContext(
                    worker_id="bench",
                    runtimes={"process": runtime},
                    fetch=fetch,
                    choose=lambda _: "process",
                    removed=_nothing,
                    policy=RestartPolicy(),
                    stop_grace=10,
                    start_timeout=1e6,
                    starts=anyio.CapacityLimiter(4 * (os.cpu_count() or 1)),
                    logger=logger,
                )
            ) as supervisor,
        ):
            wanted = [Desired(FunctionMetaData(functionDetails=details), number) for number in range(len(commands))]
            supervisor.apply({each.fqiid: each for each in wanted})
            async for _ in asked:
                return


if __name__ == "__main__":
    log_to(sys.stderr)
    anyio.run(main, Path(sys.argv[1]))
