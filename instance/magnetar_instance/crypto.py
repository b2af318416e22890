"""Keys that messages are encrypted and decrypted with."""

import json
from typing import Any

import pulsar

from magnetar_instance.errors import BootError
from magnetar_instance.proto.function import CryptoSpec
from magnetar_instance.schemas import Importer, import_class

_ACTIONS = {
    CryptoSpec.FAIL: pulsar.ConsumerCryptoFailureAction.FAIL,
    CryptoSpec.DISCARD: pulsar.ConsumerCryptoFailureAction.DISCARD,
    CryptoSpec.CONSUME: pulsar.ConsumerCryptoFailureAction.CONSUME,
}


def decryption_options(spec: CryptoSpec, import_module: Importer) -> dict[str, Any]:
    """Return the client's options for a consumer of encrypted messages. Raises BootError."""
    action = _ACTIONS.get(spec.consumerCryptoFailureAction)
    if action is None:
        raise BootError("consumerCryptoFailureAction SEND is a producer's: write FAIL, DISCARD or CONSUME")
    return {"crypto_key_reader": _key_reader(spec, import_module), "crypto_failure_action": action}


def encryption_options(spec: CryptoSpec, import_module: Importer) -> dict[str, Any]:
    """Return the client's options for a producer that encrypts. Raises BootError for what the client can't do."""
    if spec.producerCryptoFailureAction != CryptoSpec.FAIL:
        name = CryptoSpec.FailureAction.Name(spec.producerCryptoFailureAction)
        raise BootError(
            f"producerCryptoFailureAction {name}: the client for Python never sends what it failed to encrypt"
        )
    names = list(spec.producerEncryptionKeyName)
    if len(names) != 1:
        raise BootError(f"encryptionKeys {names}: the client for Python encrypts with exactly one key")
    return {"encryption_key": names[0], "crypto_key_reader": _key_reader(spec, import_module)}


def _key_reader(spec: CryptoSpec, import_module: Importer) -> pulsar.CryptoKeyReader:
    """Make the client's reader of key files, or a class of the function's, with the config as keyword arguments."""
    try:
        arguments = json.loads(spec.cryptoKeyReaderConfig or "{}")
        name = spec.cryptoKeyReaderClassName
        made = import_class(name, import_module) if "." in name else pulsar.CryptoKeyReader
        return made(**arguments)
    except BootError:
        raise
    except Exception as error:
        raise BootError(f"the crypto key reader can't be made: {type(error).__name__}: {error}") from error
