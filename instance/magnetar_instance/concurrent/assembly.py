"""The runner of a function that is `async def` or takes lists, made of the parts of an instance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from magnetar_instance.concurrent.calls import CallContext
from magnetar_instance.concurrent.desk import Desk
from magnetar_instance.concurrent.forms import AsyncProcess, Batches, Each, Form, OneByOne
from magnetar_instance.concurrent.in_place import InPlaceRunner
from magnetar_instance.concurrent.order import InputOrder, KeyOrder
from magnetar_instance.concurrent.runner import ConcurrentRunner
from magnetar_instance.concurrent.windowed import EventTimeCalls, WindowCalls
from magnetar_instance.context import FunctionContext
from magnetar_instance.delivery import Deliveries, policy_of
from magnetar_instance.effectively_once import FailuresInPlace, fixed_delay
from magnetar_instance.failures import Failures, tell_undelivered
from magnetar_instance.figures import Figures
from magnetar_instance.functions import UserFunction
from magnetar_instance.input_specs import specs_of
from magnetar_instance.inputs import Inputs
from magnetar_instance.outputs import Outputs
from magnetar_instance.proto.function import ATMOST_ONCE, EFFECTIVELY_ONCE, KEY_SHARED, FunctionDetails
from magnetar_instance.publishing import Publisher
from magnetar_instance.schemas import import_class
from magnetar_instance.sequenced_publishing import SequencedPublisher
from magnetar_instance.settings import InstanceSettings


@dataclass(frozen=True)
class Parts:
    """What every runner is made of."""

    settings: InstanceSettings
    function: UserFunction
    context: FunctionContext
    inputs: Inputs
    outputs: Outputs
    publisher: Publisher
    figures: Figures
    progress: Callable[[int, int], None]


def is_concurrent(settings: InstanceSettings, function: UserFunction) -> bool:
    """Tell whether a function needs the runner that this module makes."""
    return settings.window is not None or function.is_async or function.batch is not None


def refusals(settings: InstanceSettings, function: UserFunction) -> Iterator[str]:
    """Yield a sentence for what such functions can't have."""
    details = settings.details
    if settings.window is not None and function.batch is not None:
        yield "@batch is refused for a function with windows: a window is a list already; remove it"
    if details.processingGuarantees == EFFECTIVELY_ONCE and settings.window is not None:
        yield "EFFECTIVELY_ONCE is refused for a function with windows: choose ATLEAST_ONCE"


def concurrent_runner(parts: Parts) -> ConcurrentRunner:
    """Return the runner."""
    once = parts.settings.details.processingGuarantees == EFFECTIVELY_ONCE
    return _in_place(parts) if once else _as_it_comes(parts)


def _in_place(parts: Parts) -> InPlaceRunner:
    details, publisher = parts.settings.details, parts.publisher
    assert isinstance(publisher, SequencedPublisher)
    return InPlaceRunner(
        form=_one_by_one(parts, by_key=False),
        order=InputOrder(),
        most=parts.settings.most_pending if parts.function.is_async else 1,
        context=parts.context,
        inputs=parts.inputs,
        publisher=publisher,
        figures=parts.figures,
        outputs=parts.outputs,
        failures=FailuresInPlace(parts.settings, publisher, parts.figures, parts.context.get_logger()),
        fixed_delay=fixed_delay(details),
        acknowledges_first=False,
        progress=parts.progress,
    )


def _as_it_comes(parts: Parts) -> ConcurrentRunner:
    details = parts.settings.details
    logger = parts.context.get_logger()
    deliveries = Deliveries(policy_of(details), partial(tell_undelivered, parts.figures, logger))
    failures = Failures(parts.settings, parts.publisher, parts.figures, logger)
    by_key, in_lists = _is_by_key(details), parts.settings.window is not None or parts.function.batch is not None
    return ConcurrentRunner(
        form=_form(parts, by_key=by_key),
        order=KeyOrder() if by_key and not in_lists else InputOrder(),
        # Lists may share keys: where each key's order counts, no two of them are under way.
        most=parts.settings.most_pending if parts.function.is_async and not (by_key and in_lists) else 1,
        context=parts.context,
        inputs=parts.inputs,
        publisher=parts.publisher,
        figures=parts.figures,
        desk=Desk(parts.outputs, failures, parts.figures, deliveries),
        deliveries=deliveries,
        acknowledges_first=details.processingGuarantees == ATMOST_ONCE,
        progress=parts.progress,
    )


def _is_by_key(details: FunctionDetails) -> bool:
    return details.retainKeyOrdering or details.source.subscriptionType == KEY_SHARED


def _form(parts: Parts, *, by_key: bool) -> Form:
    function, window = parts.function, parts.settings.window
    process = awaited(function)
    if window is not None and window.extractor:
        extractor = import_class(window.extractor, function.import_module)()
        late = partial(parts.figures.record, "late_messages", 1.0)
        return EventTimeCalls(process, window, extractor, len(specs_of(parts.settings.details)), late)
    if window is not None:
        return WindowCalls(process, window)
    return _one_by_one(parts, by_key=by_key)


def _one_by_one(parts: Parts, *, by_key: bool) -> OneByOne:
    process, batch = awaited(parts.function), parts.function.batch
    return Each(process, by_key=by_key) if batch is None else Batches(process, batch)


def awaited(function: UserFunction) -> AsyncProcess:
    """Return the function as one that is awaited and takes a context."""
    process = function.process
    if function.is_async and function.takes_context:
        return process  # type: ignore[return-value] # that it is a coroutine function was asked
    if function.is_async:
        return lambda value, _: process(value)  # type: ignore[return-value]

    async def called(value: object, context: CallContext) -> object:
        return process(value, context) if function.takes_context else process(value)

    return called
