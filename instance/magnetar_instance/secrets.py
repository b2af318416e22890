"""Where a function's secrets come from."""

import os
from collections.abc import Callable

from magnetar_instance.errors import BootError

Secrets = Callable[[str, object], str | None]
"""Returns a secret of a name, given its place in the function's config."""

_CLEAR = ("ClearTextSecretsProvider", "")
_ENVIRONMENT = ("EnvironmentBasedSecretsProvider",)


def provider(class_name: str) -> Secrets:
    """Return the provider of a class name, Pulsar's two by any of their spellings. Raises BootError."""
    name = class_name.rpartition(".")[2]
    if name in _CLEAR:
        return lambda _name, place: None if place is None else str(place)
    if name in _ENVIRONMENT:
        return lambda secret, _place: os.environ.get(secret)
    raise BootError(f"the secrets provider {class_name!r} is none of ClearText and EnvironmentBased")
