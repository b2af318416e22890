"""A typed client of the worker's REST API: Pulsar's admin API and Magnetar's own."""

from magnetar.client.results import InstanceReport, LogLine, WorkerFunctionInstanceStats, WorkerInfo
from magnetar.client.worker_client import WorkerClient
from magnetar.credentials import BrokerCredentials
from magnetar.errors import RefusedByWorkerError, UnreachableError

__all__ = [
    "BrokerCredentials",
    "InstanceReport",
    "LogLine",
    "RefusedByWorkerError",
    "UnreachableError",
    "WorkerClient",
    "WorkerFunctionInstanceStats",
    "WorkerInfo",
]
