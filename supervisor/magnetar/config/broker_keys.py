"""Keys about the broker, the three topics, packages and state."""

from pathlib import Path

from pydantic import Field

from magnetar.config.base import Keys


class BrokerKeys(Keys):
    """Where the broker is and how this worker takes part in its fleet."""

    pulsar_service_url: str = Field(default="pulsar://localhost:6650", pattern=r"^pulsar(\+ssl)?://")
    pulsar_web_service_url: str = Field(default="http://localhost:8080", pattern=r"^https?://")
    pulsar_functions_namespace: str = Field(default="public/functions", pattern=r"^[^/]+/[^/]+$")
    pulsar_functions_cluster: str = "standalone"
    function_metadata_topic_name: str = Field(default="metadata", min_length=1)
    cluster_coordination_topic_name: str = Field(default="coordinate", min_length=1)
    function_assignment_topic_name: str = Field(default="assignments", min_length=1)
    use_compacted_metadata_topic: bool = False
    scheduler_class_name: str = "org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler"
    failure_check_freq_ms: int = Field(default=30_000, gt=0)
    reschedule_timeout_ms: int = Field(default=60_000, ge=0)
    rebalance_check_freq_sec: int = -1
    worker_list_probe_interval_sec: int = 60
    initial_broker_reconnect_max_retries: int = Field(default=60, ge=0)
    assignment_write_max_retries: int = Field(default=60, ge=0)
    topic_compaction_frequency_sec: int = 1800
    num_function_package_replicas: int = Field(default=1, ge=0)
    functions_worker_enable_package_management: bool = False
    download_directory: Path = Path("download/pulsar_functions")
    initialized_dlog_metadata: bool = False
    state_storage_service_url: str | None = None
    state_storage_provider_implementation: str = "org.apache.pulsar.functions.instance.state.BKStateStoreProviderImpl"
    configuration_metadata_store_url: str | None = None
    configuration_store_servers: str | None = None
    metadata_store_session_timeout_millis: int = 30_000
    metadata_store_operation_timeout_seconds: int = 30
    metadata_store_cache_expiry_seconds: int = 300
    metadata_store_allow_read_only_operations: bool = False
    zoo_keeper_session_timeout_millis: int = -1
    zoo_keeper_operation_timeout_seconds: int = -1
    zoo_keeper_cache_expiry_seconds: int = -1
    zoo_keeper_allow_read_only_operations: bool = False

    def _topic(self, name: str) -> str:
        return f"persistent://{self.pulsar_functions_namespace}/{name}"

    @property
    def metadata_topic(self) -> str:
        """The full name of the topic that holds the functions."""
        return self._topic(self.function_metadata_topic_name)

    @property
    def coordination_topic(self) -> str:
        """The full name of the topic whose consumers are the fleet."""
        return self._topic(self.cluster_coordination_topic_name)

    @property
    def assignment_topic(self) -> str:
        """The full name of the topic that holds the assignments."""
        return self._topic(self.function_assignment_topic_name)
