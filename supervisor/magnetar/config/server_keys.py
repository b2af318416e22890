"""Keys about the worker itself and its HTTP server."""

from typing import Annotated, Any

from pydantic import Field

from magnetar.config.base import Keys

Port = Annotated[int, Field(ge=0, le=65535)]


class ServerKeys(Keys):
    """Who this worker is, where it listens and how its HTTP server behaves.

    `plain_http` is off where `workerPort` is empty and TLS is served alone; it is no key of the file.
    """

    worker_id: str = ""
    worker_hostname: str = ""
    worker_port: Port = 6750
    worker_port_tls: Port | None = None
    plain_http: bool = Field(default=True, exclude=True)
    authenticate_metrics_endpoint: bool = True
    include_standard_prometheus_metrics: bool = False
    jvm_gc_metrics_logger_class_name: str | None = Field(default=None, alias="jvmGCMetricsLoggerClassName")
    num_http_server_threads: int = Field(default=8, gt=0)
    http_requests_limit_enabled: bool = False
    http_requests_max_per_second: float = Field(default=100.0, gt=0)
    max_concurrent_http_requests: int = 1024
    http_server_thread_pool_queue_size: int = 8192
    http_server_accept_queue_size: int = 8192
    max_http_server_connections: int = 2048
    web_service_ha_proxy_protocol_enabled: bool = False
    web_service_trust_x_forwarded_for: bool = False
    web_service_log_detailed_addresses: bool | None = None
    function_web_service_url: str | None = None
    functions_worker_service_nar_package: str = ""
    functions_worker_service_custom_configs: dict[str, Any] = Field(default_factory=dict)
    properties: dict[str, Any] = Field(default_factory=dict)
