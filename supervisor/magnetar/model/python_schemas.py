"""Which schemas Python functions take, and with which properties. Pure: the instance makes them."""

from collections.abc import Iterator, Mapping

from magnetar.model.details import consumers, output_schema
from magnetar.model.function import FunctionConfig

_KEY_VALUE = ("KEY_VALUE", "KEYVALUE")
_RECORDS = ("JSON", "AVRO", "PROTOBUF_NATIVE")
_NUMBERS = ("INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE")
PYTHON_SCHEMAS = ("NONE", "BYTES", "STRING", *_NUMBERS, *_RECORDS, _KEY_VALUE[0])
"""The schemas of Pulsar that its client for Python has."""
_PARTS = ("key.schema.type", "value.schema.type", "key.class", "value.class", "kv.encoding.type")
_ENCODINGS = ("INLINE", "SEPARATED")
_TEXTS = ("STRING", "JSON", "BYTES")
"""What a key may be that is written apart."""


def is_python_schema(name: str) -> bool:
    """Whether a Python function can have a schema of this name: one of Pulsar's, or the full name of a class of its own."""
    return "." in name or name.upper() in (*PYTHON_SCHEMAS, *_KEY_VALUE)


def schema_problems(config: FunctionConfig) -> Iterator[str]:
    """Yield a sentence for every property of a schema that a Python function can't have."""
    for topic, consumer in consumers(config).items():
        yield from _problems(
            f"inputSpecs[{topic!r}].schemaProperties", consumer.schema_type or "", consumer.schema_properties
        )
    output = output_schema(config)
    kind = config.output_schema_type or output.schema_type or ""
    if not is_python_schema(kind or "NONE"):
        yield f"customSchemaOutputs: schemaType {kind!r} is refused: there are {', '.join(PYTHON_SCHEMAS)}"
    yield from _problems("customSchemaOutputs.schemaProperties", kind, output.schema_properties, writes=True)


def _problems(where: str, kind: str, properties: Mapping[str, str], *, writes: bool = False) -> Iterator[str]:
    if not properties or "." in kind:
        return
    if kind.upper() not in _KEY_VALUE:
        yield f"{where} is refused: only KEY_VALUE and classes of the function's own take properties; remove it"
        return
    for name in sorted(set(properties) - set(_PARTS)):
        yield f"{where}: {name} is refused: a key-value schema takes {', '.join(_PARTS)}; remove it"
    for name in _PARTS[:2]:
        if not is_python_schema(properties.get(name, "NONE")):
            yield f"{where}: {name} {properties[name]!r} is refused: there are {', '.join(PYTHON_SCHEMAS)}; change it"
    encoding = properties.get("kv.encoding.type", "INLINE").upper()
    if encoding not in _ENCODINGS:
        yield f"{where}: kv.encoding.type {encoding!r} is refused: there are {', '.join(_ENCODINGS)}; change it"
    elif encoding == "SEPARATED" and writes and properties.get("key.schema.type", "STRING").upper() not in _TEXTS:
        yield (
            f"{where}: key.schema.type {properties['key.schema.type']!r} is refused with SEPARATED: the client for Python "
            f"writes keys as text, so it is {' or '.join(_TEXTS)}; change it, or take INLINE"
        )
