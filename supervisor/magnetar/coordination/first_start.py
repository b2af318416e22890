"""What a fleet's first worker makes and every other one finds: namespace, topics and the participants' subscription."""

from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination.fleet import PARTICIPANTS
from magnetar.coordination.settings import CoordinationSettings


async def prepare(settings: CoordinationSettings, admin: BrokerAdmin) -> None:
    """Make what is missing. Raises NotReadyError and BrokerRefusedError."""
    tenant = settings.namespace.partition("/")[0]
    if settings.namespace not in await admin.namespaces(tenant):
        await admin.create_namespace(settings.namespace, _policies(settings.cluster))
    for topic in (settings.metadata_topic, settings.assignment_topic, settings.coordination_topic):
        await admin.create_topic(topic)
    await admin.create_subscription(settings.coordination_topic, PARTICIPANTS)


def _policies(cluster: str) -> dict[str, object]:
    """Return policies that keep every message for ever and a topic that nobody uses."""
    return {
        "replication_clusters": [cluster],
        "retention_policies": {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1},
        "inactive_topic_policies": {
            "inactiveTopicDeleteMode": "delete_when_no_subscriptions",
            "maxInactiveDurationSeconds": 60,
            "deleteWhileInactive": False,
        },
    }
