import _pulsar
import pytest
from magnetar_instance.key_values import KeyedBytes, SeparatedPairs, key_properties
from magnetar_instance.messages import KeyedBuilder
from magnetar_instance.schemas import key_value_schema
from pulsar.schema import BytesSchema


def no_module(name: str) -> None:
    raise AssertionError(name)


@pytest.fixture
def texts() -> SeparatedPairs:
    properties = {"kv.encoding.type": "separated", "key.schema.type": "STRING", "value.schema.type": "STRING"}
    made = key_value_schema(properties, no_module)
    assert isinstance(made, SeparatedPairs)
    return made


@pytest.mark.parametrize("key", ["abcd", "key", "é", "YWJjZA==", "{}"])
def test_what_is_written_is_read(texts: SeparatedPairs, key: str) -> None:
    """Also where a plain key reads as Base64."""
    builder = KeyedBuilder()
    builder.content(texts.encode((key, "value")))
    assert texts.decode_message(builder.build()) == (key, "value")


def test_javas_keys_are_read(texts: SeparatedPairs) -> None:
    """They are in Base64, and nothing else says so."""
    builder = _pulsar.MessageBuilder()
    builder.content(b"value")
    builder.partition_key("w6k=")
    assert texts.decode_message(builder.build()) == ("é", "value")
    assert not key_properties("key")
    assert not key_properties("")


def test_what_is_absent_is_none(texts: SeparatedPairs) -> None:
    """A message without a key has none in its pair."""
    builder = KeyedBuilder()
    builder.content(texts.encode((None, "value")))
    message = builder.build()
    assert message.partition_key() == ""
    assert texts.decode_message(message) == (None, "value")


def test_a_key_that_is_no_text_is_refused() -> None:
    """The client has no form for it."""
    with pytest.raises(ValueError, match="no UTF-8"):
        SeparatedPairs(BytesSchema(), BytesSchema()).encode((b"\xff", b""))
    assert SeparatedPairs(BytesSchema(), BytesSchema()).encode((b"k", b"v")) == KeyedBytes(b"v")
