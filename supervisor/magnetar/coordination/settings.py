"""What coordination needs to know of its worker and its fleet."""

from collections.abc import Callable
from dataclasses import dataclass

from magnetar_instance.proto.function import FunctionMetaData

from magnetar.coordination.base import WorkerInfo
from magnetar.errors import StartError
from magnetar.policy.placement import one_by_one


@dataclass(frozen=True)
class CoordinationSettings:
    """Who this worker is, where the fleet's three topics are and how often the leader looks after them; seconds.

    `port` is the one that other workers reach this one at. 0 turns `rebalance_interval` and `compaction_interval` off.
    `externally_managed` says which functions get one assignment for all their instances.
    `start_patience` is how long a broker that is not there yet is waited for, `write_patience` how long a leader is,
    `turn_patience` how long another worker is that replaces an instance.
    """

    worker_id: str
    hostname: str
    port: int
    namespace: str = "public/functions"
    cluster: str = "standalone"
    metadata_name: str = "metadata"
    coordination_name: str = "coordinate"
    assignment_name: str = "assignments"
    compacted_metadata: bool = False
    externally_managed: Callable[[FunctionMetaData], bool] = one_by_one
    failure_check_interval: float = 30
    reschedule_timeout: float = 60
    rebalance_interval: float = 0
    compaction_interval: float = 1800
    start_patience: float = 60
    write_patience: float = 5
    poll_interval: float = 1
    turn_patience: float = 350

    def __post_init__(self) -> None:
        for setting, value in (("workerId", self.worker_id), ("workerHostname", self.hostname)):
            if not value or ":" in value:
                raise StartError(f"{setting}: {value!r} must be a name without ':'; give another {setting}")

    @property
    def me(self) -> WorkerInfo:
        """This worker as the others see it."""
        return WorkerInfo(self.worker_id, self.hostname, self.port)

    @property
    def metadata_topic(self) -> str:
        """Where the functions are."""
        return self._topic(self.metadata_name)

    @property
    def coordination_topic(self) -> str:
        """The topic whose consumers are the fleet; nothing is ever sent there."""
        return self._topic(self.coordination_name)

    @property
    def assignment_topic(self) -> str:
        """Where the assignments are."""
        return self._topic(self.assignment_name)

    def _topic(self, name: str) -> str:
        return f"persistent://{self.namespace}/{name}"
