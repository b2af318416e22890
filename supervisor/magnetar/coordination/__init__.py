"""The three topics of Pulsar's workers: functions, assignments, leadership."""

from magnetar.coordination.base import Coordination, WorkerInfo
from magnetar.coordination.coordination import PulsarCoordination
from magnetar.coordination.forward import Forward
from magnetar.coordination.settings import CoordinationSettings

__all__ = ["Coordination", "CoordinationSettings", "Forward", "PulsarCoordination", "WorkerInfo"]
