"""What an instance needs on this host before it can be started: its runtime, its package, what that depends on."""

import random
import uuid
from pathlib import Path

from magnetar_instance.proto.function import FunctionMetaData
from structlog.stdlib import BoundLogger

from magnetar.model.runtime_options import parse_options
from magnetar.policy.restart import after_refusal
from magnetar.runtimes.base import InstanceSpec, Runtime
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.record import Record


class Finding:
    """Finds what one instance needs, and counts in vain attempts."""

    def __init__(self, context: SupervisionContext, record: Record, logger: BoundLogger) -> None:
        self._context = context
        self._record = record
        self._log = logger
        self._failures = 0

    def begin_anew(self) -> None:
        """Forget what was in vain."""
        self._failures = 0

    async def find(self, version: Desired) -> tuple[Runtime, InstanceSpec]:
        """Return the runtime of a version and what it starts. Raises RefusedError, RequestError, OSError."""
        details = version.metadata.functionDetails
        parse_options(details.customRuntimeOptions)
        runtime = self._context.runtimes[self._context.choose(details)]
        package = await self._context.fetch(version.metadata.packageLocation)
        environment = await self._environment(version.metadata, package) if runtime.name == "process" else None
        self._failures = 0
        ids = str(uuid.uuid4()), str(uuid.uuid4())
        auth = version.function.auth
        return runtime, InstanceSpec(
            details, version.instance_id, package, *ids, environment, version.fingerprint, auth
        )

    async def _environment(self, function: FunctionMetaData, package: Path) -> Path | None:
        """Return what a process is given to import from; while it is installed, that is what the instance waits for."""
        record = self._record
        if record.running is not None:
            found = await self._context.environment(function, package, record.remark)
            record.remark("")
            return found
        before = record.reason
        found = await self._context.environment(function, package, record.explain)
        record.reason = before
        return found

    def try_later(self, reason: str) -> float:
        """Note what could not be had; returns the seconds until it is asked for again."""
        self._record.explain(f"its package could not be had, and is asked for again: {reason}")
        self._log.warning("The package could not be had.", reason=reason)
        self._failures += 1
        return after_refusal(self._context.policy, self._failures, chance=random.random())  # noqa: S311
