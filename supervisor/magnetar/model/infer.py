"""What is filled in before a config is judged, as Pulsar's worker does."""

from magnetar_instance.settings import DEFAULT_PENDING

from magnetar.model.function import FunctionConfig, Runtime
from magnetar.model.parts import WindowConfig


def infer(
    config: FunctionConfig, *, forwards_properties: bool = True, pending: int = DEFAULT_PENDING
) -> FunctionConfig:
    """Return the config with names, runtime, window and counts filled in.

    `forwards_properties` is the worker's `forwardSourceMessageProperty`: false turns the function's own off. `pending` is
    the worker's `maxPendingAsyncRequests`, for functions that don't choose.
    """
    forward = config.forward_source_message_property
    return config.with_changes(
        tenant=config.tenant or "public",
        namespace=config.namespace or "default",
        name=config.name or (config.class_name or "").rpartition(".")[2] or None,
        parallelism=1 if config.parallelism is None else config.parallelism,
        max_pending_async_requests=config.max_pending_async_requests or pending,
        forward_source_message_property=(True if forward is None else forward) if forwards_properties else None,
        runtime=_runtime(config),
        auto_ack=False if config.window_config else config.auto_ack,
        window_config=_window(config.window_config) if config.window_config else None,
    )


def _runtime(config: FunctionConfig) -> Runtime | None:
    """Return the runtime that the package's kind tells; it wins over the one that is named."""
    if config.jar:
        return "JAVA"
    if config.py:
        return "PYTHON"
    return "GO" if config.go else config.runtime


def _window(window: WindowConfig) -> WindowConfig:
    timed = window.timestamp_extractor_class_name is not None
    slide_ms = _given(window.sliding_interval_duration_ms, window.window_length_duration_ms)
    return window.model_copy(
        update={
            "sliding_interval_count": _given(window.sliding_interval_count, window.window_length_count),
            "sliding_interval_duration_ms": slide_ms,
            "max_lag_ms": _given(window.max_lag_ms, 0 if timed else None),
            "watermark_emit_interval_ms": _given(window.watermark_emit_interval_ms, 1000 if timed else None),
        }
    )


def _given(value: int | None, default: int | None) -> int | None:
    return default if value is None else value
