import enum
from dataclasses import dataclass, field

import pytest
from magnetar_instance.errors import BootError
from magnetar_instance.records import NoRecordError, definition_of
from magnetar_instance.schemas import schema_for


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Part:
    weight: float
    raw: bytes = b""


@dataclass
class Order:
    name: str
    count: int
    colour: Colour
    parts: list[Part] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    comment: str | None = None


ORDER = Order("a", 3, Colour.BLUE, [Part(1.5, b"\xff\x00"), Part(2.0)], {"k": "v"})


def no_import(name: str) -> None:
    raise ImportError(name)


def test_a_dataclass_has_an_avro_definition() -> None:
    """Nested records, enums, arrays, maps and optional fields are spelled as Avro spells them."""
    definition = definition_of(Order)
    kinds = {each["name"]: each["type"] for each in definition["fields"]}
    assert (definition["type"], definition["name"]) == ("record", "Order")
    assert (kinds["name"], kinds["count"], kinds["comment"]) == ("string", "long", ["null", "string"])
    assert kinds["colour"] == {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
    assert kinds["parts"]["items"]["name"] == "Part"
    assert kinds["notes"] == {"type": "map", "values": "string"}


def test_json_records_come_back_as_they_were() -> None:
    """Nothing is lost on the way through JSON, and fields that are not known are passed over."""
    schema = schema_for("JSON", Order, {}, no_import)  # type: ignore[arg-type]
    assert schema is not None
    assert schema.decode(schema.encode(ORDER)) == ORDER
    assert schema.decode(b'{"name":"a","count":1,"colour":"RED","more":1}') == Order("a", 1, Colour.RED)
    with pytest.raises(TypeError):
        schema.encode("no order")


@pytest.mark.parametrize(("name", "value"), [("int8", -1), ("int32", 70_000), ("INT64", 1 << 40), ("double", 0.5)])
def test_numbers_come_back_as_they_were(name: str, value: float) -> None:
    """Pulsar's numbers are read and written in Java's byte order."""
    schema = schema_for(name, None, {}, no_import)  # type: ignore[arg-type]
    assert schema is not None
    assert schema.decode(schema.encode(value)) == value


def test_what_has_no_place_in_a_schema_is_named() -> None:
    """A field of an unknown type, a schema without its record, and one that no client for Python has."""

    @dataclass
    class Odd:
        when: complex

    with pytest.raises(NoRecordError, match=r"Odd\.when"):
        definition_of(Odd)
    with pytest.raises(BootError, match="needs the class of its records"):
        schema_for("json", None, {}, no_import)  # type: ignore[arg-type]
    with pytest.raises(BootError, match="no such schema"):
        schema_for("auto_consume", None, {}, no_import)  # type: ignore[arg-type]
    assert schema_for("bytes", None, {}, no_import) is None  # type: ignore[arg-type]
