"""Deleting a function, and what of it is cleaned up once its last instance has ended."""

from collections.abc import Iterator

import anyio
from magnetar_instance.backoff import backoff_of, retry_topic
from magnetar_instance.proto.function import ConsumerSpec, FunctionDetails, FunctionMetaData

from magnetar.errors import BrokerRefusedError, NotReadyError
from magnetar.functions import function_state
from magnetar.functions.context import FunctionsContext
from magnetar.functions.create import delete_package
from magnetar.model.names import FunctionName, full_topic, name_of, namespace_of
from magnetar.supervision.desired import Desired

_GONE = 404
_ATTEMPTS, _PAUSE = 10, 1.0


async def delete(context: FunctionsContext, name: FunctionName) -> None:
    """Delete a function and its package; its instances end soon after. Raises UnknownFunctionError, OutOfDateError."""
    changed = FunctionMetaData()
    changed.CopyFrom(context.metadata(name))
    changed.version += 1
    await context.coordination.delete(changed)
    context.logger.info("A function was deleted.", function=name.fqfn)
    await delete_package(context, name, changed.packageLocation)
    await function_state.forget(context, name)


async def clean_up(context: FunctionsContext, removed: Desired) -> None:
    """Clean up after an instance that was removed from this worker: packages of no function; a deleted one's subscriptions.

    Every worker tries once its last instance has ended. A subscription that another worker's instance still uses is
    left to that worker: nobody has to know who is last. State goes with the function, as in Pulsar.
    """
    await context.packages.sweep({each.packageLocation.packagePath for each in context.coordination.functions.values()})
    details = removed.metadata.functionDetails
    if removed.fqfn in context.coordination.functions:
        return
    others = (name for name in context.instances.names() if name != removed.fqiid)
    if any(name.startswith(f"{removed.fqfn}:") for name in others):
        return
    await function_state.forget(context, name_of(details))
    if not details.source.cleanupSubscription:
        return
    subscription = details.source.subscriptionName or removed.fqfn
    async with anyio.create_task_group() as tasks:
        for topic, spec in _subscribed(details, subscription):
            work = _Unsubscribing(context, removed.fqfn, topic, subscription, is_pattern=spec.isRegexPattern)
            tasks.start_soon(work.run, name=f"delete the subscription {subscription} of {topic}")


def _subscribed(details: FunctionDetails, subscription: str) -> Iterator[tuple[str, ConsumerSpec]]:
    for topic, spec in details.source.inputSpecs.items():
        yield topic, spec
        if backoff_of(details) is not None:
            yield retry_topic(topic, subscription, is_pattern=spec.isRegexPattern), ConsumerSpec()


class _Unsubscribing:
    """One subscription to delete: tried again while the broker is busy or the instance's last consumer is closing."""

    def __init__(
        self, context: FunctionsContext, fqfn: str, topic: str, subscription: str, *, is_pattern: bool
    ) -> None:
        self._context = context
        self._fqfn = fqfn
        self._topic = full_topic(topic)
        self._subscription = subscription
        self._is_pattern = is_pattern

    async def run(self) -> None:
        problem = ""
        for attempt in range(_ATTEMPTS):
            await anyio.sleep(_PAUSE if attempt else 0)
            if self._fqfn in self._context.coordination.functions:
                return  # it was created again meanwhile, and the subscription is the new one's
            try:
                await self._once()
            except NotReadyError as error:
                problem = str(error)
            except BrokerRefusedError as error:
                problem = str(error)
                if error.status == _GONE:
                    return
            else:
                return
        self._context.logger.warning(
            "A deleted function's subscription stays.",
            function=self._fqfn,
            topic=self._topic,
            subscription=self._subscription,
            reason=problem,
        )

    async def _once(self) -> None:
        if self._is_pattern:
            await self._context.admin.unsubscribe_namespace(namespace_of(self._topic), self._subscription)
        else:
            await self._context.admin.delete_subscription(self._topic, self._subscription)
