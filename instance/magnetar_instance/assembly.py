"""The parts of a running instance, made from what it was asked to be."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pulsar

from magnetar_instance.backoff import backoff_of, retry_topic
from magnetar_instance.backoff import refusals as retry_refusals
from magnetar_instance.codecs import Reading, reading_of, writing_of
from magnetar_instance.concurrent.assembly import Parts, concurrent_runner, is_concurrent
from magnetar_instance.concurrent.assembly import refusals as form_refusals
from magnetar_instance.concurrent.runner import ConcurrentRunner
from magnetar_instance.conformance import refusals
from magnetar_instance.context import FunctionContext
from magnetar_instance.effectively_once import OrderedRunner
from magnetar_instance.effectively_once import refusals as order_refusals
from magnetar_instance.errors import BootError, StateUnavailableError
from magnetar_instance.figures import Figures
from magnetar_instance.functions import UserFunction
from magnetar_instance.input_specs import specs_of
from magnetar_instance.inputs import Input, Inputs
from magnetar_instance.outputs import Outputs
from magnetar_instance.proto.function import EFFECTIVELY_ONCE, ConsumerSpec, FunctionDetails
from magnetar_instance.publishing import Publisher
from magnetar_instance.retry_letters import decoding_letters
from magnetar_instance.runner import Runner
from magnetar_instance.secrets import secrets_of
from magnetar_instance.sequenced_publishing import SequencedPublisher
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.state import StateStore, open_state
from magnetar_instance.subscribing import has_queue, subscribe
from magnetar_instance.tracing import traced, tracing_of

AnyRunner = Runner | ConcurrentRunner


@dataclass(frozen=True)
class Assembly:
    """A subscribed instance that is ready to run."""

    inputs: Inputs
    publisher: Publisher
    runner: AnyRunner
    context: FunctionContext

    def close(self) -> None:
        """Close producers, consumers and the function's state, and have its spans exported."""
        self.publisher.close()
        self.inputs.close()
        self.context.close_state()
        if self.context.tracing is not None:
            self.context.tracing.flush()


def assemble(
    client: pulsar.Client,
    settings: InstanceSettings,
    function: UserFunction,
    figures: Figures,
    logger: logging.Logger,
    progress: Callable[[int, int], None],
) -> Assembly:
    """Subscribe to the inputs and put everything together.

    Raises BootError for what no retry mends, PulsarException when the broker refuses or is not there.
    """
    details = settings.details
    _refuse(settings, function)
    readings = {topic: reading_of(spec, details, function) for topic, spec in specs_of(details).items()}
    writing = writing_of(details, function)
    secrets = secrets_of(settings, function.import_module)

    def failed(text: str) -> None:
        logger.error("%s", text)
        figures.system_failed(text, "publish")

    once = details.processingGuarantees == EFFECTIVELY_ONCE
    publishes = SequencedPublisher if once else Publisher
    publisher = publishes(client, settings, writing.schema, function.import_module, logger, failed)
    inputs = _subscribed(client, settings, function, readings, logger)
    context = FunctionContext(
        settings,
        figures,
        publisher,
        secrets,
        logger,
        inputs.acknowledge,
        function.import_module,
        client,
        _state(settings, logger),
    )
    context.tracing = tracing = tracing_of(settings)
    if tracing is not None:
        function = traced(function, tracing, in_lists=settings.window is not None or function.batch is not None)
    outputs = Outputs(details, writing.encode, publisher)
    parts = Parts(settings, function, context, inputs, outputs, publisher, figures, progress)
    if is_concurrent(settings, function):
        return Assembly(inputs, publisher, concurrent_runner(parts), context)
    runs = OrderedRunner if once else Runner
    runner = runs(
        settings,
        function=function,
        context=context,
        inputs=inputs,
        encode=writing.encode,
        outputs=outputs,
        publisher=publisher,
        figures=figures,
        progress=progress,
    )
    return Assembly(inputs, publisher, runner, context)


def _refuse(settings: InstanceSettings, function: UserFunction) -> None:
    """Raise BootError that names all that can't be done for this function."""
    details = settings.details
    refused = [
        *refusals(details),
        *order_refusals(details),
        *form_refusals(settings, function),
        *retry_refusals(details),
    ]
    if refused:
        raise BootError("; ".join(refused))


def _state(settings: InstanceSettings, logger: logging.Logger) -> StateStore | None:
    if not settings.state_storage_url:
        return None
    details = settings.details
    try:
        return open_state(settings.state_storage_url, details.tenant, details.namespace, details.name)
    except StateUnavailableError as error:
        logger.warning("%s: functions that ask for state are refused it", error)
        return None


def _subscribed(
    client: pulsar.Client,
    settings: InstanceSettings,
    function: UserFunction,
    readings: dict[str, Reading],
    logger: logging.Logger,
) -> Inputs:
    inputs = []
    subscription = settings.details.source.subscriptionName or settings.fqfn
    for topic, of_input, spec in _consumed(settings.details, subscription):
        reading = readings[of_input]
        consumer = subscribe(client, settings, topic, spec, reading, function.import_module)
        decode = reading.decode if backoff_of(settings.details) is None else decoding_letters(reading.decode)
        inputs.append(Input(topic, consumer, decode, logger, queued=has_queue(spec)))
    return Inputs(inputs)


def _consumed(details: FunctionDetails, subscription: str) -> Iterator[tuple[str, str, ConsumerSpec]]:
    """Yield each topic to subscribe to, the input that it belongs to, and how it is consumed."""
    for topic, spec in specs_of(details).items():
        yield topic, topic, spec
        if backoff_of(details) is not None:
            letters = ConsumerSpec()
            letters.CopyFrom(spec)
            letters.isRegexPattern = False
            yield retry_topic(topic, subscription, is_pattern=spec.isRegexPattern), topic, letters
