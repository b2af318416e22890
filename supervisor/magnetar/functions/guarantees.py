"""What a guarantee needs of the broker."""

from magnetar.broker_admin import BrokerAdmin
from magnetar.errors import BrokerRefusedError, RefusedError
from magnetar.model import FunctionConfig
from magnetar.model.names import full_topic

_NOT_TOLD = (401, 403, 404, 405)


async def check_guarantee(admin: BrokerAdmin, config: FunctionConfig) -> None:
    """Raise RefusedError where results could be stored twice though the function asks for EFFECTIVELY_ONCE.

    Functions in Java are not looked at: Pulsar starts them without de-duplication, and the README of many says how to.
    """
    if config.processing_guarantees != "EFFECTIVELY_ONCE" or config.runtime != "PYTHON" or not config.output:
        return
    output = full_topic(config.output)
    if output.startswith("non-persistent://"):
        raise RefusedError(f"EFFECTIVELY_ONCE needs a persistent output topic, which {config.output!r} is not")
    namespace = output.removeprefix("persistent://").rpartition("/")[0]
    if not await _deduplicates(admin, output, namespace):
        raise RefusedError(
            f"EFFECTIVELY_ONCE needs de-duplication in the namespace {namespace} of the output {config.output!r}, which is "
            f"off: switch it on (pulsar-admin namespaces set-deduplication {namespace} --enable, or POST true to "
            f"/admin/v2/namespaces/{namespace}/deduplication), or choose ATLEAST_ONCE"
        )


async def _deduplicates(admin: BrokerAdmin, topic: str, namespace: str) -> bool:
    policy = await admin.deduplication(namespace)
    if policy:
        return True
    return await _topic_does(admin, topic) or (policy is None and await _broker_does(admin))


async def _topic_does(admin: BrokerAdmin, topic: str) -> bool:
    """Tell whether a topic that is there de-duplicates, as by a policy of its own."""
    try:
        one = f"{topic}-partition-0" if await admin.partitions(topic) else topic
        return (await admin.topic_stats(one)).deduplicates
    except BrokerRefusedError as error:
        if error.status in _NOT_TOLD:
            return False
        raise


async def _broker_does(admin: BrokerAdmin) -> bool:
    """Tell whether the broker de-duplicates where no policy says otherwise; a broker that does not tell does not."""
    try:
        return (await admin.broker_configuration()).get("brokerDeduplicationEnabled") == "true"
    except BrokerRefusedError as error:
        if error.status in _NOT_TOLD:
            return False
        raise
