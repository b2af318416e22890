"""How an instance of one language is launched: all that the process runtime needs to know of Python, Java and Go."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from magnetar_instance.proto.function import FunctionDetails

from magnetar.host_users import Account
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.last_words import Reader, plain
from magnetar.runtimes.process.settings import Credentials

_HEALTH_INTERVAL = 10.0
Rotation = Literal["reopen", "in-place", "own"]


@dataclass(frozen=True)
class Place:
    """What the runtime chose for one start; the ports are free on loopback.

    `package` is the instance's own copy of the code (executable for Go), removed when it ends. The directory of
    `log_file` exists. `credentials` are what the instance shows the broker, without a secret in them. Where it runs as a
    user of its own, that is `account`, and `home` and `state_url` are its function's own.
    """

    package: Path
    port: int
    metrics_port: int
    log_file: Path
    credentials: Credentials | None = None
    account: Account | None = None
    home: Path | None = None
    state_url: str = ""


@dataclass(frozen=True)
class Launch:
    """One start of an instance.

    `environment` is complete. Both standard streams are appended to `output`; the last lines of it and of the log file are
    told when the instance dies. `forked_argv` is `sys.argv` of an instance that a zygote of ours may fork; None where the
    command must be run. A `linked` instance speaks the JSON lines of docs/architecture.md over a socket pair. Any other is
    asked over gRPC: it is ready at its first good status, and gets a health check every `health_interval` seconds for its
    watchdog. SIGQUIT makes it write its threads' stacks to its output, which `stacks_end_it` in some languages.
    `last_words` picks out of its last lines what tells why it ended. One that answers before it is subscribed has a
    `ready_line`, which its log says when it is. `rotation` of `output`: its writer can `reopen` it, or it is rotated
    `in-place` under a writer that can't, or it is the writer's `own` affair. `levels` is the file that tells it the level of
    its log, where it reads one.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    output: Path
    forked_argv: Sequence[str] | None = None
    linked: bool = False
    rotation: Rotation = "in-place"
    health_interval: float = _HEALTH_INTERVAL
    cwd: Path | None = None
    stacks_end_it: bool = False
    last_words: Reader = plain
    ready_line: re.Pattern[str] | None = None
    levels: Path | None = None


class Language(Protocol):
    """Composes launches: ports, directories and the copy of the package are made by the runtime."""

    def admit(self, details: FunctionDetails, package: Path) -> object:
        """Judge a function before it is created. Raises RefusedError with what to change when it can't run here."""

    @property
    def can_wait(self) -> bool:
        """Whether an instance can be started and wait, unsubscribed, until it is told to subscribe."""

    def launch(self, spec: InstanceSpec, place: Place) -> Launch:
        """Return how to start an instance.

        Raises RefusedError with what to change when this worker can't run the language at all.
        """


def health_interval(watchdog: int) -> float:
    """Return the seconds between health checks for a watchdog that ends an instance after three intervals without one."""
    return min(_HEALTH_INTERVAL, watchdog) if watchdog > 0 else _HEALTH_INTERVAL
