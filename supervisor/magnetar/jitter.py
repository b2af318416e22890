"""Chance in the periods of timers: what began together does not go on together."""

import random


def spread(seconds: float) -> float:
    """Return about as many seconds, a quarter more or less."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - nobody is kept out by it
