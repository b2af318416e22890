"""Whether a function can be created from a config: Pulsar's checks in Pulsar's order, then our own."""

import re
from collections.abc import Callable, Iterator

from magnetar_instance.backoff import refusals as retry_refusals

from magnetar.errors import RefusedError
from magnetar.model.conformance import refusals
from magnetar.model.details import consumers, to_details
from magnetar.model.function import FunctionConfig
from magnetar.model.names import full_topic, is_topic
from magnetar.model.runtime_options import parse_options
from magnetar.model.validate_blocks import check_blocks, check_python_window, check_resources, check_window

_UNSAFE_NAME = re.compile(r"[/\x00-\x1f\x7f]|^\.{1,2}$")


def validate(config: FunctionConfig) -> None:
    """Judge an inferred config; raises RefusedError with the first thing that is wrong."""
    for check in _CHECKS:
        for sentence in check(config):
            raise RefusedError(sentence)
    for sentence in (*_letters(config), *refusals(config)):
        raise RefusedError(sentence)


def _names(config: FunctionConfig) -> Iterator[str]:
    for what, value in (("tenant", config.tenant), ("namespace", config.namespace), ("name", config.name)):
        if not value:
            yield f"Function {what} cannot be null: give {what}"
        elif _UNSAFE_NAME.search(value):
            yield f"Function {what} {value!r} holds a character that no path can: choose letters, digits, - and _"


def _runtime(config: FunctionConfig) -> Iterator[str]:
    if config.runtime is None:
        yield "Function language runtime is either not set or cannot be determined: give py, jar or go, or runtime"
    if config.runtime == "PYTHON" and not config.class_name:
        yield "Function classname cannot be null: give className, for a file of functions its module's name"


def _topics(config: FunctionConfig) -> Iterator[str]:
    inputs = consumers(config)
    if not inputs:
        yield "No input topic(s) specified for the function: give inputs, inputSpecs or topicsPattern"
    yield from (f"Input topic {topic!r} is invalid: {_TOPIC_FORM}" for topic in inputs if not is_topic(topic))
    others = (("Output topic", config.output), ("LogTopic topic", config.log_topic))
    for what, topic in (*others, ("DeadLetter topic", config.dead_letter_topic)):
        if topic and not is_topic(topic):
            yield f"{what} {topic!r} is invalid: {_TOPIC_FORM}"


def _count(config: FunctionConfig) -> Iterator[str]:
    if config.parallelism is not None and config.parallelism <= 0:
        yield f"Function parallelism must be a positive number: it is {config.parallelism}"


def _loop(config: FunctionConfig) -> Iterator[str]:
    if not config.output:
        return
    for topic, consumer in consumers(config).items():
        if not consumer.regex_pattern and full_topic(topic) == full_topic(config.output):
            yield f"Output topic {config.output!r} is also being used as an input topic: choose another"


def _timing(config: FunctionConfig) -> Iterator[str]:
    if config.timeout_ms is None:
        return
    if config.timeout_ms <= 0:
        yield f"Function timeout must be a positive number: timeoutMs is {config.timeout_ms}"
    if config.processing_guarantees not in (None, "ATLEAST_ONCE"):
        asked = config.processing_guarantees
        yield f"Message timeout can only be used with ATLEAST_ONCE: processingGuarantees is {asked}"


def _retries(config: FunctionConfig) -> Iterator[str]:
    counted = config.max_message_retries is not None and config.max_message_retries >= 0
    if counted and config.processing_guarantees == "EFFECTIVELY_ONCE":
        yield "MaxMessageRetries and EFFECTIVELY_ONCE don't gel well: remove one of them"
    if config.dead_letter_topic and not counted:
        yield "Dead letter topic specified, however max retries is set to infinity: give maxMessageRetries"


def _letters(config: FunctionConfig) -> Iterator[str]:
    """Judge Magnetar's own options, and yield why their `retry` can't be had."""
    if parse_options(config.custom_runtime_options).retry is None:
        return
    where = "customRuntimeOptions.magnetar.retry"
    if config.runtime != "PYTHON":
        yield f"{where} is refused: {config.runtime} functions have no retry letters; remove it"
    else:
        yield from (f"{where}: {sentence}" for sentence in retry_refusals(to_details(config)))


def _order(config: FunctionConfig) -> Iterator[str]:
    if config.retain_key_ordering and config.processing_guarantees == "EFFECTIVELY_ONCE":
        yield "When EFFECTIVELY_ONCE is set, retainKeyOrdering can't be: EFFECTIVELY_ONCE keeps the whole order"
    if config.runtime == "PYTHON" and config.processing_guarantees == "EFFECTIVELY_ONCE":
        for topic, consumer in consumers(config).items():
            if "ackTimeoutMillis" in consumer.consumer_properties:
                yield f"ackTimeoutMillis of {topic!r} and EFFECTIVELY_ONCE don't gel well: remove one of them"
    if config.retain_key_ordering and config.retain_ordering:
        yield "Only one of retain ordering or retain key ordering can be set: remove one of them"


def _acknowledging(config: FunctionConfig) -> Iterator[str]:
    if config.auto_ack is False and config.processing_guarantees == "ATMOST_ONCE":
        yield "autoAck false can't be used with ATMOST_ONCE, which acknowledges before the call: remove one of them"


def _go(config: FunctionConfig) -> Iterator[str]:
    if config.runtime != "GO":
        return
    if config.processing_guarantees == "EFFECTIVELY_ONCE":
        yield "Effectively-once processing guarantees are not supported in Go: choose ATLEAST_ONCE"
    if config.max_message_retries is not None and config.max_message_retries >= 0:
        yield "Message retries are not supported in Go: remove maxMessageRetries"
    if config.retain_key_ordering:
        yield "Retain key ordering is not supported in Go: remove retainKeyOrdering"


_TOPIC_FORM = "write topic, tenant/namespace/topic or persistent://tenant/namespace/topic"
_CHECKS: tuple[Callable[[FunctionConfig], Iterator[str]], ...] = (
    _names,
    _runtime,
    _topics,
    _count,
    _loop,
    check_window,
    check_python_window,
    check_resources,
    _timing,
    _retries,
    _order,
    check_blocks,
    _acknowledging,
    _go,
)
