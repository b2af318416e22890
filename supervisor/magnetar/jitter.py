"""Chance in the periods of timers: what began together does not go on together."""

import random


def sooner(seconds: float) -> float:
    """Return as many seconds, or up to a tenth less."""
    return seconds * random.uniform(0.9, 1.0)  # noqa: S311 - nobody is kept out by it


def spread(seconds: float) -> float:
    """Return about as many seconds, a quarter more or less."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - nobody is kept out by it
