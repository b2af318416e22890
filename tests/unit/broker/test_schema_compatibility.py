import json

import pytest
from magnetar_broker.errors import IncompatibleSchemaError
from magnetar_broker.topics.schema_compatibility import AVRO, KEY_VALUE, PROTOBUF_NATIVE, demand_compatible
from magnetar_broker.topics.schemas import Schemas, StoredSchema


def record(*fields: dict[str, object]) -> bytes:
    return json.dumps({"type": "record", "name": "R", "fields": list(fields)}).encode()


def field(name: str, kind: object, **more: object) -> dict[str, object]:
    return {"name": name, "type": kind, **more}


A, B = field("a", "int"), field("b", "string")
INNER = {"type": "record", "name": "Inner", "fields": [A]}


def compatible(new: bytes, *before: bytes, strategy: str, kind: int = AVRO) -> bool:
    try:
        demand_compatible((kind, new), [(kind, each) for each in before], strategy)
    except IncompatibleSchemaError:
        return False
    return True


@pytest.mark.parametrize(
    ("old", "new", "backward", "forward"),
    [
        (record(A), record(A), True, True),
        (record(A), record(A, B), False, True),
        (record(A, B), record(A), True, False),
        (record(A), record(A, {**B, "default": ""}), True, True),
        (record(A), record(field("a", "long")), True, False),
        (record(A), record(field("a", "string")), False, False),
        (record(A), record(field("a", ["null", "int"])), True, False),
        (record(field("a", ["null", "int"])), record(field("a", ["null", "int", "string"])), True, False),
        (record(field("x", "int")), record(field("y", "int", aliases=["x"])), True, False),
        (record(field("i", INNER)), record(field("i", {**INNER, "fields": [field("a", "string")]})), False, False),
        (record(field("i", INNER), field("j", "Inner")), record(field("i", INNER), field("j", "Inner")), True, True),
        (
            record(field("e", {"type": "enum", "name": "E", "symbols": ["X"]})),
            record(field("e", {"type": "enum", "name": "E", "symbols": ["X", "Y"]})),
            True,
            False,
        ),
        (
            record(field("l", {"type": "array", "items": "int"})),
            record(field("l", {"type": "array", "items": "long"})),
            True,
            False,
        ),
        (record(field("s", "string")), record(field("s", "bytes")), True, True),
    ],
)
def test_avros_rules_decide(old: bytes, new: bytes, backward: bool, forward: bool) -> None:
    """BACKWARD: the new one reads what the old one wrote; FORWARD: the other way round; FULL: both."""
    assert compatible(new, old, strategy="BACKWARD") == backward
    assert compatible(new, old, strategy="FORWARD") == forward
    assert compatible(new, old, strategy="FULL") == (backward and forward)
    assert compatible(new, old, strategy="ALWAYS_COMPATIBLE")
    assert not compatible(new, old, strategy="ALWAYS_INCOMPATIBLE")


def test_transitive_strategies_look_at_all_versions() -> None:
    """The latest alone may agree where an older one does not."""
    old, middle, new = record(A), record({**A, "default": 0}), record()
    assert compatible(new, old, middle, strategy="FORWARD")
    assert not compatible(new, old, middle, strategy="FORWARD_TRANSITIVE")


def test_another_type_never_follows() -> None:
    """A topic of one type of schema keeps it."""
    with pytest.raises(IncompatibleSchemaError, match="type"):
        demand_compatible((2, record(A)), [(AVRO, record(A))], "FULL")


def test_protobufs_root_message_stays() -> None:
    """The name of the root message must be the same."""
    one, two = (json.dumps({"rootMessageTypeName": name}).encode() for name in ("a.A", "a.B"))
    assert compatible(one, one, strategy="FULL", kind=PROTOBUF_NATIVE)
    assert not compatible(two, one, strategy="FULL", kind=PROTOBUF_NATIVE)


def pair(key: bytes, value: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in (key, value))


def test_both_halves_of_a_pair_are_judged() -> None:
    """Key and value each by their own rules."""
    assert compatible(pair(b"", record(A, {**B, "default": ""})), pair(b"", record(A)), strategy="FULL", kind=KEY_VALUE)
    assert not compatible(pair(record(B), b""), pair(record(A), b""), strategy="FULL", kind=KEY_VALUE)


def test_versions_count_up_and_deletion_is_one() -> None:
    """The same schema keeps its version; after a deletion the old versions bind no more and stay readable."""
    schemas = Schemas()
    one, two = StoredSchema("", AVRO, record(A)), StoredSchema("", AVRO, record(B))
    assert [schemas.accept(one), schemas.accept(one)] == [
        ((0).to_bytes(8, "big"), True),
        ((0).to_bytes(8, "big"), False),
    ]
    with pytest.raises(IncompatibleSchemaError):
        schemas.accept(two)
    schemas.delete(0)
    assert schemas.accept(two) == ((2).to_bytes(8, "big"), True)
    assert schemas.get((0).to_bytes(8, "big"))[0] == one
    assert Schemas.from_json(schemas.to_json()).versions == schemas.versions


def test_no_new_version_where_the_namespace_forbids_it() -> None:
    """Known ones are still taken."""
    schemas = Schemas()
    schemas.accept(StoredSchema("", AVRO, record(A)))
    schemas.accept(StoredSchema("", AVRO, record(A)), updates=False)
    with pytest.raises(IncompatibleSchemaError):
        schemas.accept(StoredSchema("", AVRO, record(A, {**B, "default": ""})), updates=False)
