"""What a worker answers beside the models that it shares with its clients."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from magnetar.model.stats import FunctionInstanceStatsData


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class WorkerInfo(_Result):
    """One worker of a fleet and where the others find it."""

    worker_id: str
    worker_hostname: str
    port: int


class WorkerFunctionInstanceStats(_Result):
    """The figures of one instance; `name` is `tenant/namespace/name:id`."""

    name: str
    metrics: FunctionInstanceStatsData


class InstanceReport(_Result):
    """What Magnetar's worker knows of one instance; times are seconds since the epoch."""

    fqfn: str
    instance_id: int
    worker: str
    runtime: str
    phase: str
    reason: str = ""
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    grpc_port: int | None = None
    metrics_port: int | None = None
    rss_bytes: int | None = None
    log_file: str | None = None
    next_start_at: float | None = None


class InstanceEvent(_Result):
    """Something that happened to an instance, or (without a number) to its function; `time` is in ISO 8601."""

    number: int | None = None
    time: str
    instance_id: int | None = None
    source: str
    event: str
    phase: str = ""
    reason: str = ""
    pid: int | None = None


class LogLine(_Result):
    """One line of an instance's log."""

    instance_id: int
    line: str


class Change(_Result):
    """One field of a config before and after an update; None is absence."""

    field: str
    before: JsonValue = None
    after: JsonValue = None


class Plan(_Result):
    """What a create or update would do; instances are told by number. A package that is sent always replaces."""

    action: Literal["create", "update", "none"]
    changes: tuple[Change, ...] = ()
    replaces_package: bool = False
    restarted: tuple[int, ...] = ()
    started: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
