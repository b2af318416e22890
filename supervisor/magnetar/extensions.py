"""Classes that a config names: Pulsar's built-in ones, which mean Magnetar's own, or `package.module:Class` of Python."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from magnetar.errors import StartError


def load_class(
    key: str, name: str, protocol: type[Any], built_in: Mapping[str, Callable[[Any], Any]]
) -> Callable[[Any], Any]:
    """Return a class by its name; another Java class than the built-in ones is refused with what to write instead.

    Raises StartError that names the key and the Protocol.
    """
    if name in built_in:
        return built_in[name]
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise StartError(
            f"{key} is {name!r}, a Java class that can't be loaded: take one of {', '.join(built_in)}, or give "
            f"package.module:Class of a Python class that implements {protocol.__module__}.{protocol.__name__}"
        )
    try:
        found: Callable[[Any], Any] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise StartError(f"{key} is {name!r}, which can't be imported: {error}") from None
    missing = [method for method in vars(protocol) if not method.startswith("_") and not hasattr(found, method)]
    if missing:
        raise StartError(f"{key} is {name!r}, which lacks {', '.join(missing)} of {protocol.__name__}")
    return found
