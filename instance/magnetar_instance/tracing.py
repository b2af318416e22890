"""A span for each call of a function, where its code has set OpenTelemetry up; nothing is imported otherwise.

What carries the trace is a property of the messages (W3C's traceparent), and is carried on without OpenTelemetry too.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from magnetar_instance.api import BatchOptions, InputMessage, Message, mark_batch
from magnetar_instance.functions import UserFunction
from magnetar_instance.outputs import is_shaped
from magnetar_instance.settings import InstanceSettings

_FLUSH_MS = 2000


class Tracing:
    """Starts spans with the provider that is set, and writes their context into properties."""

    def __init__(self, settings: InstanceSettings) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - it is there, and set up
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._trace: Any = trace
        self._propagator: Any = TraceContextTextMapPropagator()
        self._tracer: Any = trace.get_tracer("magnetar_instance")
        self._name = f"{settings.details.name} process"
        self._attributes = {"messaging.system": "pulsar", "messaging.operation.type": "process"}

    def span(self, topic: str, properties: Mapping[str, str]) -> AbstractContextManager[Any]:
        """Return the span of a call with one message, below the span that sent it."""
        return self._start(topic, context=self._propagator.extract(dict(properties)))

    def span_of_many(self, inputs: Iterable[InputMessage]) -> AbstractContextManager[Any]:
        """Return the span of a call with several messages, linked to the spans that sent them."""
        messages = list(inputs)
        spans = [
            self._trace.get_current_span(self._propagator.extract(dict(each.properties))).get_span_context()
            for each in messages
        ]
        links = [self._trace.Link(each) for each in spans if each.is_valid]
        return self._start(messages[-1].topic, links=links, attributes={"messaging.batch.message_count": len(messages)})

    def _start(
        self, topic: str, *, attributes: Mapping[str, object] | None = None, **more: Any
    ) -> AbstractContextManager[Any]:
        told = {**self._attributes, "messaging.destination.name": topic, **(attributes or {})}
        kind = self._trace.SpanKind.CONSUMER
        started: AbstractContextManager[Any] = self._tracer.start_as_current_span(
            self._name, kind=kind, attributes=told, **more
        )
        return started

    def properties(self) -> dict[str, str]:
        """Return what carries the current span on."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    def flush(self) -> None:
        """Have the spans that wait be exported, for two seconds at most."""
        flush = getattr(self._trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(_FLUSH_MS)


def tracing_of(settings: InstanceSettings) -> Tracing | None:
    """Return what starts spans; None where nobody would see them, because no provider was set."""
    if "opentelemetry.trace" not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        return None
    try:
        from opentelemetry import trace  # noqa: PLC0415
    except ImportError:
        return None
    provider: object = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else Tracing(settings)


def traced(function: UserFunction, tracing: Tracing, *, in_lists: bool) -> UserFunction:
    """Return the function with a span around each call, whose context its outputs carry."""

    def span(given: Any, context: Any) -> AbstractContextManager[Any]:
        if in_lists:
            return tracing.span_of_many(given)
        return tracing.span(context.get_current_message_topic_name(), context.get_message_properties())

    process = function.process
    arguments: Callable[[Any, Any], tuple[Any, ...]] = (
        (lambda given, context: (given, context)) if function.takes_context else lambda given, _: (given,)
    )
    each = function.batch is not None

    async def traced_async(given: Any, context: Any) -> object:
        with span(given, context):
            result: Any = process(*arguments(given, context))
            return _carrying(await result, tracing.properties(), each=each)

    def traced_plain(given: Any, context: Any) -> object:
        with span(given, context):
            return _carrying(process(*arguments(given, context)), tracing.properties(), each=each)

    made = traced_async if function.is_async else traced_plain
    if isinstance(function.batch, BatchOptions):
        mark_batch(made, function.batch)
    return replace(function, process=made, takes_context=True)


def _carrying(result: object, carrier: Mapping[str, str], *, each: bool) -> object:
    """Return a result, or each of a list of them, as Messages with these properties below their own."""
    if each and isinstance(result, list):
        return [_carrying(one, carrier, each=False) for one in result]
    if result is None or isinstance(result, BaseException):
        return result
    if isinstance(result, list) and is_shaped(result):
        return [_carrying(one, carrier, each=False) for one in result]
    message = result if isinstance(result, Message) else Message(result)
    return replace(message, properties={**carrier, **message.properties})
