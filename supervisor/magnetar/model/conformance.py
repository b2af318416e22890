"""For every field of a function's config: honoured, advice, or refused, by language; a test walks the tables.

Advice is accepted and kept, but nothing acts on it here, as in Pulsar; a refused field is refused by name at create.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from magnetar.model.details import consumers
from magnetar.model.from_details import LOSSES
from magnetar.model.function import FunctionConfig, Runtime, spellings
from magnetar.model.parts import ConsumerConfig, ProducerConfig
from magnetar.model.python_schemas import PYTHON_SCHEMAS, is_python_schema, schema_problems

_BLOCKS: dict[str, type[BaseModel]] = {"inputSpecs": ConsumerConfig, "producerConfig": ProducerConfig}


def _given(value: Any) -> bool:
    return value not in (None, False, "", (), {})


@dataclass(frozen=True)
class Verdict:
    """What becomes of a field; `asks` tells whether a value asks for what is refused."""

    kind: Literal["honoured", "advice", "refused"]
    why: str = ""
    asks: Callable[[Any], bool] = _given


HONOURED = Verdict("honoured")


def _fields() -> Iterator[str]:
    yield from spellings(FunctionConfig).values()
    for block, model in _BLOCKS.items():
        yield from (f"{block}.{name}" for name in spellings(model).values())


def _unless(*accepted: str) -> Callable[[Any], bool]:
    """Return a test for values other than these words, in any case."""
    return lambda value: _given(value) and str(value).upper() not in accepted


def _table(**verdicts: Verdict) -> dict[str, Verdict]:
    given = {name.replace("__", "."): verdict for name, verdict in verdicts.items()}
    losses = {name: Verdict("advice", why) for name, why in LOSSES.items() if name in _NOWHERE}
    return {name: given.get(name) or losses.get(name) or HONOURED for name in _fields()}


_NOWHERE = ("maxPendingAsyncRequests", "fqfn")
_ADMIN = Verdict("refused", "functions get no admin client; use the admin API of the broker from the function")
_PROCESS = Verdict("advice", "an instance on a host is held to its resources where magnetar.limits.enforce is true")
_PYTHON_SCHEMA = Verdict(
    "refused",
    f"Pulsar's client for Python has {', '.join(PYTHON_SCHEMAS)}, and the function may have classes of its own",
    lambda value: bool(value) and not is_python_schema(str(value)),
)
_PYTHON_DECRYPTION = Verdict(
    "refused",
    "a consumer can't have consumerCryptoFailureAction SEND, which is a producer's",
    lambda crypto: crypto is not None and crypto.consumer_crypto_failure_action == "SEND",
)
_PYTHON_ENCRYPTION = Verdict(
    "refused",
    "Pulsar's client for Python encrypts with exactly one key and never sends what it failed to encrypt, "
    "so give one of encryptionKeys, and FAIL as producerCryptoFailureAction",
    lambda crypto: (
        crypto is not None
        and (
            len(crypto.encryption_keys or ()) > 1 or (crypto.producer_crypto_failure_action or "FAIL").upper() != "FAIL"
        )
    ),
)

_MIN_TIMEOUT = 10_000

TABLES: dict[Runtime, dict[str, Verdict]] = {
    "PYTHON": _table(
        exposePulsarAdminClientEnabled=_ADMIN,
        maxPendingAsyncRequests=HONOURED,
        resources=_PROCESS,
        timeoutMs=Verdict(
            "refused", "the Python client takes 10000 or more", lambda value: value is not None and value < _MIN_TIMEOUT
        ),
        outputSchemaType=_PYTHON_SCHEMA,
        functionType=Verdict("refused", "builtin functions are Java archives"),
        jar=Verdict("refused", "a Python function's package is given as py"),
        go=Verdict("refused", "a Python function's package is given as py"),
        runtimeFlags=Verdict("refused", "flags for the interpreter can't be given to a Python function"),
        inputSpecs__schemaType=_PYTHON_SCHEMA,
        inputSpecs__cryptoConfig=_PYTHON_DECRYPTION,
        inputSpecs__messagePayloadProcessorConfig=Verdict("refused", "payload processors are Java classes"),
        inputSpecs__poolMessages=Verdict("refused", "pooled messages are a feature of the Java client"),
        producerConfig__cryptoConfig=_PYTHON_ENCRYPTION,
        producerConfig__useThreadLocalProducers=Verdict("refused", "a Python function has one producer per topic"),
    ),
    "JAVA": _table(exposePulsarAdminClientEnabled=_ADMIN, resources=_PROCESS),
    "GO": _table(
        exposePulsarAdminClientEnabled=_ADMIN,
        resources=_PROCESS,
        windowConfig=Verdict("refused", "windows are not supported in Go"),
        functionType=Verdict("refused", "builtin functions are Java archives"),
        inputSpecs__messagePayloadProcessorConfig=Verdict("refused", "payload processors are Java classes"),
    ),
}


def refusals(config: FunctionConfig) -> Iterator[str]:
    """Yield a sentence for every field whose value asks for what the function's language can't have here."""
    table = TABLES[config.runtime or "JAVA"]
    yield from _refused(config, table, "", "")
    for topic, consumer in consumers(config).items():
        yield from _refused(consumer, table, "inputSpecs.", f"inputSpecs[{topic!r}].")
    if config.producer_config:
        yield from _refused(config.producer_config, table, "producerConfig.", "producerConfig.")
    if config.runtime == "PYTHON":
        yield from schema_problems(config)


def _refused(block: BaseModel, table: Mapping[str, Verdict], prefix: str, where: str) -> Iterator[str]:
    for name, spelling in spellings(type(block)).items():
        verdict, value = table[prefix + spelling], getattr(block, name)
        if verdict.kind == "refused" and verdict.asks(value):
            shown = f" {value!r}" if isinstance(value, str | int) else ""
            yield f"{where}{spelling}{shown} is refused: {verdict.why}; remove it"
