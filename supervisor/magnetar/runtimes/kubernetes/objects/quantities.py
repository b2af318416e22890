"""What a pod asks for: limits, requests, padding and over-commitment, rounded as Pulsar's worker rounds. Pure."""

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from magnetar_instance.proto.function import Resources

DEFAULT_RAM = 1 << 30
"""Bytes of an instance whose function asks for none."""
DEFAULT_CPU = 1.0


@dataclass(frozen=True)
class Ratios:
    """How a request follows from what the user asked for; padding in percent of the memory."""

    cpu_over_commit: float = 1.0
    memory_over_commit: float = 1.0
    memory_padding: int = 10


def container_resources(asked: Resources, ratios: Ratios) -> dict[str, Any]:
    """Return the `resources` of the container."""
    ram = asked.ram or DEFAULT_RAM
    memory = ram + math.floor(ram * (ratios.memory_padding / 100.0) + 0.5)
    cpu = asked.cpu or DEFAULT_CPU
    return {
        "requests": {
            "cpu": _cores(cpu / ratios.cpu_over_commit),
            "memory": str(int(memory / ratios.memory_over_commit)),
        },
        "limits": {"cpu": _cores(cpu), "memory": str(memory)},
    }


def _cores(value: float) -> str:
    rounded = Decimal(repr(value)).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)
    return repr(float(rounded))
