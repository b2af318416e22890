"""A typed client of the worker's REST API: Pulsar's admin API and Magnetar's own."""

from magnetar.client.forms import Deployment
from magnetar.client.results import (
    Change,
    InstanceEvent,
    InstanceReport,
    LogLine,
    Plan,
    WorkerFunctionInstanceStats,
    WorkerInfo,
)
from magnetar.client.worker_client import WorkerClient
from magnetar.credentials import BrokerCredentials
from magnetar.errors import RefusedByWorkerError, UnreachableError

__all__ = [
    "BrokerCredentials",
    "Change",
    "Deployment",
    "InstanceEvent",
    "InstanceReport",
    "LogLine",
    "Plan",
    "RefusedByWorkerError",
    "UnreachableError",
    "WorkerClient",
    "WorkerFunctionInstanceStats",
    "WorkerInfo",
]
