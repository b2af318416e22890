"""Magnetar's own options of a function, inside `customRuntimeOptions`."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from magnetar.errors import RefusedError
from magnetar.model.kubernetes_options import Autoscaler, DisruptionBudget, KubernetesOptions
from magnetar.model.nearest import unknown_key


class RetryOptions(BaseModel):
    """Retry letters of a Python function: how long a message that failed waits before it is tried again."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    initial_delay_ms: int = Field(default=1000, ge=0)
    multiplier: float = Field(default=2.0, ge=1)
    max_delay_ms: int = Field(default=600_000, gt=0)


class RestartLimits(BaseModel):
    """How often and how fast an instance is started again, in seconds; None leaves it to the worker's `restart` block.

    After `max_restarts` in a row, without lasting health between them, it is not started again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    initial_delay: float | None = Field(default=None, ge=0)
    max_delay: float | None = Field(default=None, gt=0)
    forget_after: float | None = Field(default=None, ge=0)
    intensity: int | None = Field(default=None, gt=0)
    period: float | None = Field(default=None, gt=0)
    max_restarts: int | None = Field(default=None, ge=0)


class MagnetarOptions(BaseModel):
    """What a function may choose itself; None leaves the choice to the worker's config."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    runtime: Literal["process", "thread", "kubernetes"] | None = None
    restart: Literal["always", "on-failure", "never"] | None = None
    restart_limits: RestartLimits | None = None
    kubernetes: KubernetesOptions | None = None
    retry: RetryOptions | None = None


def _spelt(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


_KNOWN: dict[str | int, list[str]] = {
    "magnetar": _spelt(MagnetarOptions),
    "restartLimits": _spelt(RestartLimits),
    "kubernetes": _spelt(KubernetesOptions),
    "retry": _spelt(RetryOptions),
    "podDisruptionBudget": _spelt(DisruptionBudget),
    "autoscaler": _spelt(Autoscaler),
}


def parse_options(text: str | None) -> MagnetarOptions:
    """Return the options under the key `magnetar` of a JSON text; text of another kind holds none.

    Pulsar leaves the text to whoever customizes its runtime, so only what is ours is judged.
    """
    own = _own_block(text)
    try:
        return MagnetarOptions.model_validate(own)
    except ValidationError as error:
        raise RefusedError("; ".join(_sentence(each) for each in error.errors(include_url=False))) from None


def _own_block(text: str | None) -> Any:
    if not text or not text.strip():
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        if '"magnetar"' not in text:
            return {}
        raise RefusedError(
            f"customRuntimeOptions is not JSON ({error}); it must be a JSON object in a string"
        ) from None
    return document.get("magnetar") or {} if isinstance(document, dict) else {}


def _sentence(error: Any) -> str:
    where = ".".join(("customRuntimeOptions.magnetar", *map(str, error["loc"])))
    if error["type"] == "extra_forbidden":
        known = _KNOWN.get(error["loc"][-2] if len(error["loc"]) > 1 else "magnetar", [])
        place = ".".join(("customRuntimeOptions.magnetar", *map(str, error["loc"][:-1])))
        return unknown_key(f"{place}: ", str(error["loc"][-1]), known) + f" (known: {', '.join(known)})"
    return f"{where} is {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"
