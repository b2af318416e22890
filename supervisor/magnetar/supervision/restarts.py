"""What follows the end of an instance: another start at once or later, or none."""

import random
import time
from dataclasses import replace

from structlog.stdlib import BoundLogger

from magnetar.lifecycle import Event
from magnetar.model.runtime_options import parse_options
from magnetar.policy.restart import RestartMode, RestartPolicy, after_death, starts_again
from magnetar.runtimes.base import Exit
from magnetar.runtimes.choice import language_of
from magnetar.supervision.desired import Desired
from magnetar.supervision.record import Record

_TRIES = 3
"""So often an update may end before it is ready until the version before runs again: its end may have had other causes."""


class Restarts:
    """The restarts of one instance; `policy` is the worker's, of which a function may have changed something."""

    def __init__(self, record: Record, policy: RestartPolicy, logger: BoundLogger) -> None:
        self._record = record
        self._policy = policy
        self._log = logger
        self._failed_tries = 0

    def begin_anew(self) -> None:
        """Count tries of an update from the first one on."""
        self._failed_tries = 0

    def is_tried_again(self, version: Desired, ended: Exit) -> bool:
        """Whether an update that ended before it was ready is started once more, as its restart policy allows."""
        self._failed_tries += 1
        most = self._policy_of(version).max_restarts
        tries = _TRIES if most is None else min(_TRIES, most + 1)
        return self._failed_tries < tries and not ended.reason and _starts_again(version, ended)

    def after_end(self, version: Desired, ended: Exit) -> float | None:
        """Note an end; returns the seconds until the next start, None when there is none."""
        reason = described(ended)
        if not _starts_again(version, ended):
            mode, event = _mode(version), Event.REFUSE if _failed(version, ended) else Event.FINISH
            self._record.move(event, f"{reason}\nnot started again: its restart is {mode}")
            return None
        return self._after_death(self._policy_of(version), reason)

    def _policy_of(self, version: Desired) -> RestartPolicy:
        options = parse_options(version.metadata.functionDetails.customRuntimeOptions)
        limits = options.restart_limits.model_dump(exclude_none=True) if options.restart_limits else {}
        return replace(self._policy, **limits)

    def _after_death(self, policy: RestartPolicy, reason: str) -> float | None:
        decision = after_death(
            policy,
            self._record.history,
            now=time.monotonic(),
            healthy_for=self._record.healthy_for(),
            chance=random.random(),  # noqa: S311
        )
        self._record.history = decision.history
        if decision.exhausted:
            self._record.move(
                Event.REFUSE, f"{reason}\nnot started again after {policy.max_restarts} restarts in a row"
            )
            return None
        self._record.restarts += 1
        if decision.looping:
            reason += f"\nit is crash-looping: {policy.intensity} deaths within {policy.period:g} s"
        self._record.move(Event.LOOP if decision.looping else Event.END, reason)
        self._log.info("The instance is started again.", delay=round(decision.delay, 3))
        return decision.delay


def described(ended: Exit) -> str:
    """Return how an instance ended, with its last lines."""
    return "\n".join((ended.describe(), *ended.last_lines))


def _mode(version: Desired) -> RestartMode:
    return parse_options(version.metadata.functionDetails.customRuntimeOptions).restart or "always"


def _failed(version: Desired, ended: Exit) -> bool:
    # Java exits with 0 at failures.
    return ended.failed or language_of(version.metadata.functionDetails) == "JAVA"


def _starts_again(version: Desired, ended: Exit) -> bool:
    return starts_again(_mode(version), failed=_failed(version, ended))
