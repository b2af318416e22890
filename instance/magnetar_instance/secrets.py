"""Where a function's secrets come from."""

import json
import os
from collections.abc import Callable, Mapping
from types import ModuleType

from magnetar_instance.errors import BootError
from magnetar_instance.settings import InstanceSettings

Secrets = Callable[[str, object], str | None]
"""Returns a secret of a name, given its place in the function's config."""

_CLEAR = {"ClearTextSecretsProvider", "secretsprovider.ClearTextSecretsProvider"}
_ENVIRONMENT = {"EnvironmentBasedSecretsProvider", "secretsprovider.EnvironmentBasedSecretsProvider"}


def secrets_of(settings: InstanceSettings, import_module: Callable[[str], ModuleType]) -> Secrets:
    """Return Pulsar's providers by their names, or a class of the function's with `init` and `provide_secret`.

    Raises BootError.
    """
    name = settings.secrets_provider
    if not name or name in _CLEAR or name == "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider":
        return lambda _name, place: None if place is None else str(place)
    if name in _ENVIRONMENT:
        return lambda secret, _place: os.environ.get(secret)
    return _own(name, _config(settings.secrets_config), import_module)


def _config(text: str) -> Mapping[str, object]:
    if not text:
        return {}
    try:
        config: Mapping[str, object] = json.loads(text)
    except ValueError as error:
        raise BootError(f"the secrets provider's config is not JSON: {error}") from error
    return config


def _own(class_name: str, config: Mapping[str, object], import_module: Callable[[str], ModuleType]) -> Secrets:
    module_name, _, name = class_name.rpartition(".")
    try:
        made = getattr(import_module(module_name), name)()
        made.init(config)
        provide: Secrets = made.provide_secret
    except Exception as error:
        raise BootError(f"the secrets provider {class_name!r} can't be had: {error}") from error
    return provide
