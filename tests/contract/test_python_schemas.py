"""Schemas and encryption of Python functions, through the whole server and with Pulsar's own client at both ends."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulsar
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from foreign_clients import java_command
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue
from pulsar.schema import (
    AvroSchema,
    BytesSchema,
    JsonSchema,
    Long,
    ProtobufNativeSchema,
    Record,
    Schema,
    String,
    StringSchema,
)
from requirements import requires
from standalone import Standalone, standalone

PATIENCE_MS = 60_000
RECORDS = """\
from dataclasses import dataclass


@dataclass
class Person:
    name: str
    age: int


@dataclass
class Greeting:
    text: str


def process(input: Person) -> Greeting:
    return Greeting(f"hello {input.name}, {input.age}")
"""
PULSARS_RECORDS = """\
from pulsar.schema import Long, Record, String


class Person(Record):
    name = String(required=True)
    age = Long(required=True)


class Greeting(Record):
    text = String(required=True)


def process(input):
    return Greeting(text=f"hello {input.name}, {input.age}")
"""
PAIRS = RECORDS.replace(
    'def process(input: Person) -> Greeting:\n    return Greeting(f"hello {input.name}, {input.age}")',
    "def process(input: tuple[str, Person]) -> tuple[int, Greeting]:\n"
    '    return len(input[0]), Greeting(f"{input[0]} {input[1].name}, {input[1].age}")',
)  # fmt: skip
PARTS = "def process(input):\n    return input[1], input[0]\n"
PROTOBUF = """\
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue


def process(input: Timestamp) -> StringValue:
    return StringValue(value=input.ToJsonString())
"""
DOUBLES = "def process(input: int) -> int:\n    assert type(input) is int\n    return input * 2\n"
OWN = """\
from pulsar.schema import BytesSchema


class Rot13(BytesSchema):
    def __init__(self, record, properties):
        super().__init__()
        self.shift = int(properties["shift"])

    def encode(self, text):
        return bytes(byte + self.shift for byte in text.encode())

    def decode(self, data):
        return bytes(byte - self.shift for byte in data).decode()


def process(input):
    return input.upper()
"""


class Person(Record):
    name = String(required=True)
    age = Long(required=True)


class Greeting(Record):
    text = String(required=True)


def pair(key: bytes, value: bytes) -> bytes:
    """The bytes that Pulsar's clients for Java write for a pair, inline."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (key, value))


@dataclass(frozen=True)
class Case:
    """A function, what is sent to it and with which schema, and what comes of it."""

    code: str
    reads: dict[str, Any]
    writes: dict[str, Any]
    schema: Callable[[], Schema]
    sent: Any
    output_schema: Callable[[], Schema]
    expected: Any
    config: dict[str, Any]
    key: str | None = None
    expected_key: str = ""


def case(code: str, reads: Any, writes: Any, schema: Any, sent: Any, output: Any, expected: Any, **config: Any) -> Case:
    keys = {name: config.pop(name) for name in ("key", "expected_key") if name in config}
    return Case(code, reads, writes, schema, sent, output, expected, config, **keys)


ADA = Person(name="Ada", age=36)
HELLO = Greeting(text="hello Ada, 36")
NAMES = {"inputTypeClassName": "function.Person", "outputTypeClassName": "function.Greeting"}
TYPES = {"key.schema.type": "string", "value.schema.type": "INT32"}
APART = {"kv.encoding.type": "SEPARATED"}
TURNED = {"key.schema.type": "int32", "value.schema.type": "STRING"}
CASES = {
    "avro from annotations": case(
        RECORDS, {"schemaType": "AVRO"}, {"schemaType": "AVRO"},
        lambda: AvroSchema(Person), ADA, lambda: AvroSchema(Greeting), HELLO,
    ),
    "avro from class names": case(
        PULSARS_RECORDS, {"schemaType": "avro"}, {"schemaType": "avro"},
        lambda: AvroSchema(Person), ADA, lambda: AvroSchema(Greeting), HELLO, **NAMES,
    ),
    "json to avro": case(
        RECORDS, {"schemaType": "JSON"}, {"schemaType": "AVRO"},
        lambda: JsonSchema(Person), ADA, lambda: AvroSchema(Greeting), HELLO,
    ),
    "pairs from annotations": case(
        PAIRS, {"schemaType": "KEY_VALUE"}, {"schemaType": "KEY_VALUE"},
        BytesSchema, pair(b"dear", b'{"name":"Ada","age":36}'),
        BytesSchema, pair((4).to_bytes(8, "big"), b'{"text":"dear Ada, 36"}'),
    ),
    "pairs from properties": case(
        PARTS, {"schemaType": "KEY_VALUE", "schemaProperties": TYPES},
        {"schemaType": "KEY_VALUE", "schemaProperties": TURNED},
        BytesSchema, pair(b"key", b"\0\0\0\7"), BytesSchema, pair(b"\0\0\0\7", b"key"),
    ),
    "pairs apart": case(
        PARTS.replace("input[1], input[0]", "input[0].upper(), input[1]"),
        {"schemaType": "KEY_VALUE", "schemaProperties": TYPES | APART},
        {"schemaType": "KEY_VALUE", "schemaProperties": TYPES | APART},
        BytesSchema, b"\0\0\0\7", BytesSchema, b"\0\0\0\7", key="key", expected_key="KEY",
    ),
    "protobuf from annotations": case(
        PROTOBUF, {"schemaType": "PROTOBUF_NATIVE"}, {"schemaType": "PROTOBUF_NATIVE"},
        lambda: ProtobufNativeSchema(Timestamp), Timestamp(seconds=7),
        lambda: ProtobufNativeSchema(StringValue), StringValue(value="1970-01-01T00:00:07Z"),
    ),
    "protobuf from class names": case(
        PROTOBUF.replace(": Timestamp) -> StringValue", ")"),
        {"schemaType": "protobuf_native"}, {"schemaType": "protobuf_native"},
        lambda: ProtobufNativeSchema(Timestamp), Timestamp(seconds=7),
        lambda: ProtobufNativeSchema(StringValue), StringValue(value="1970-01-01T00:00:07Z"),
        inputTypeClassName="function.Timestamp", outputTypeClassName="function.StringValue",
    ),
    "numbers": case(
        DOUBLES, {"schemaType": "INT32"}, {"schemaType": "INT64"},
        BytesSchema, (21).to_bytes(4, "big"), BytesSchema, (42).to_bytes(8, "big"),
    ),
    "text": case(
        "def process(input):\n    return input * 2\n", {"schemaType": "STRING"}, {"schemaType": "STRING"},
        StringSchema, "7", StringSchema, "77",
    ),
    "a class of its own": case(
        OWN, {"schemaType": "function.Rot13", "schemaProperties": {"shift": "1"}},
        {"schemaType": "function.Rot13", "schemaProperties": {"shift": "2"}},
        BytesSchema, b"bcd", BytesSchema, b"CDE",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("schemas") / "data") as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_values_go_in_and_out_by_their_schemas(worker: Standalone, name: str) -> None:
    """What Pulsar's client sends with a schema is what the function gets, and what it returns is what the client reads."""
    given, topic = CASES[name], name.replace(" ", "-")
    custom = {f"{topic}-out": json.dumps(given.writes)}
    answer = worker.create(
        topic,
        given.code,
        {
            "inputSpecs": {f"{topic}-in": given.reads},
            "output": f"{topic}-out",
            "customSchemaOutputs": custom,
            **given.config,
        },
    )
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe(f"{topic}-out", "test", schema=given.output_schema())
    worker.client.create_producer(f"{topic}-in", schema=given.schema()).send(given.sent, partition_key=given.key)
    received = consumer.receive(PATIENCE_MS)
    assert received.value() == given.expected
    assert received.partition_key() == given.expected_key


@requires("java")
@requires("maven")
@pytest.mark.timeout(300)
def test_pairs_apart_are_those_of_java(worker: Standalone) -> None:
    """Java's client and a Python function read each other's keys, those too that read as Base64."""
    schema = {"schemaType": "KEY_VALUE", "schemaProperties": TYPES | APART}
    code = "def process(input):\n    return input[0], input[1] + 1\n"
    config = {
        "inputSpecs": {"java-in": schema},
        "output": "java-out",
        "customSchemaOutputs": {"java-out": json.dumps(schema)},
    }
    answer = worker.create("apart", code, config)
    assert answer.status_code == 204, answer.text
    command = [*java_command("broker.Pairs"), worker.addresses["broker"], "java-in", "java-out", "abcd", "a b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == ["abcd=5", "a b=4"], done.stderr[-2000:]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files with a key pair, as arguments of the client's reader of keys."""
    folder: Path = tmp_path_factory.mktemp("keys")
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "private.pem").write_bytes(private)
    (folder / "public.pem").write_bytes(public)
    return {"public_key_path": str(folder / "public.pem"), "private_key_path": str(folder / "private.pem")}


SHOUTS = "def process(input):\n    return input.upper()\n"
READS_KEYS = """\
import pulsar


class Keys(pulsar.CryptoKeyReader):
    def __init__(self, folder):
        super().__init__(f"{folder}/public.pem", f"{folder}/private.pem")


def process(input):
    return input.upper()
"""


@pytest.mark.parametrize("own", [False, True], ids=["client-s", "own"])
def test_messages_are_decrypted_and_results_encrypted(worker: Standalone, keys: dict[str, str], own: bool) -> None:
    """With the client's own reader of key files, or a class of the function's; nobody else can read them."""
    name = f"secret-{own}"
    reader: dict[str, Any] = {"cryptoKeyReaderClassName": "pulsar.CryptoKeyReader", "cryptoKeyReaderConfig": keys}
    if own:
        folder = str(Path(keys["public_key_path"]).parent)
        reader = {"cryptoKeyReaderClassName": "function.Keys", "cryptoKeyReaderConfig": {"folder": folder}}
    config = {
        "inputSpecs": {f"{name}-in": {"cryptoConfig": {**reader, "consumerCryptoFailureAction": "FAIL"}}},
        "output": f"{name}-out",
        "producerConfig": {"cryptoConfig": {**reader, "encryptionKeys": ["mine"]}},
    }
    answer = worker.create(name, READS_KEYS if own else SHOUTS, config)
    assert answer.status_code == 204, answer.text
    mine = pulsar.CryptoKeyReader(**keys)
    consumer = worker.client.subscribe(f"{name}-out", "test", crypto_key_reader=mine)
    blind = worker.client.subscribe(
        f"{name}-out", "blind", crypto_failure_action=pulsar.ConsumerCryptoFailureAction.CONSUME
    )
    producer = worker.client.create_producer(f"{name}-in", encryption_key="mine", crypto_key_reader=mine)
    producer.send(b"whisper")
    assert consumer.receive(PATIENCE_MS).data() == b"WHISPER"
    assert b"WHISPER" not in blind.receive(PATIENCE_MS).data()


def test_what_can_not_be_decrypted_is_discarded_where_that_is_asked_for(
    worker: Standalone, keys: dict[str, str]
) -> None:
    """The next message is processed, and the function never sees the one before."""
    reader = {"cryptoKeyReaderClassName": "pulsar.CryptoKeyReader"}
    wrong = {"public_key_path": "/nowhere", "private_key_path": "/nowhere"}
    crypto = {**reader, "cryptoKeyReaderConfig": wrong, "consumerCryptoFailureAction": "DISCARD"}
    config = {"inputSpecs": {"discards-in": {"cryptoConfig": crypto}}, "output": "discards-out"}
    answer = worker.create("discards", SHOUTS, config)
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe("discards-out", "test")
    mine = pulsar.CryptoKeyReader(**keys)
    secretly = worker.client.create_producer("discards-in", encryption_key="mine", crypto_key_reader=mine)
    secretly.send(b"secret")
    worker.client.create_producer("discards-in").send(b"open")
    assert consumer.receive(PATIENCE_MS).data() == b"OPEN"


def test_a_function_may_skip_what_waits_when_it_starts(worker: Standalone) -> None:
    """`skipToLatest` leaves the backlog of its subscription behind at each start."""
    held = worker.client.subscribe("skips-in", "skips", initial_position=pulsar.InitialPosition.Earliest)
    producer = worker.client.create_producer("skips-in")
    for number in range(3):
        producer.send(b"old %d" % number)
    held.close()
    config = {"inputs": ["skips-in"], "output": "skips-out", "subName": "skips", "skipToLatest": True}
    answer = worker.create("skips", SHOUTS, config)
    assert answer.status_code == 204, answer.text
    consumer = worker.client.subscribe("skips-out", "test")
    while not any(each["fqfn"].endswith("/skips") and each["phase"] == "running" for each in worker.instances()):
        pass
    producer.send(b"new")
    assert consumer.receive(PATIENCE_MS).data() == b"NEW"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"inputSpecs": {"no-in": {"schemaType": "TIMESTAMP"}}}, "TIMESTAMP"),
        ({"inputSpecs": {"no-in": {"schemaType": "JSON", "schemaProperties": {"a": "b"}}}}, "schemaProperties"),
        ({"inputSpecs": {"no-in": {"schemaType": "KEY_VALUE", "schemaProperties": {"a": "b"}}}}, "key.schema.type"),
        (
            {
                "customSchemaOutputs": {
                    "no-out": json.dumps({"schemaType": "KEY_VALUE", "schemaProperties": TURNED | APART})
                }
            },
            "take INLINE",
        ),
        (
            {"producerConfig": {"cryptoConfig": {"cryptoKeyReaderClassName": "f.K", "encryptionKeys": ["a", "b"]}}},
            "exactly one key",
        ),
        (
            {
                "producerConfig": {
                    "cryptoConfig": {
                        "cryptoKeyReaderClassName": "f.K",
                        "encryptionKeys": ["a"],
                        "producerCryptoFailureAction": "SEND",
                    }
                }
            },
            "FAIL",
        ),
        ({"customSchemaOutputs": {"no-out": '{"schemaType": "DATE"}'}}, "DATE"),
    ],
)
def test_what_the_client_has_not_is_refused_by_name(worker: Standalone, config: dict[str, object], named: str) -> None:
    """At create, before anything runs."""
    answer = worker.create("no", SHOUTS, {"inputs": ["no-in"], "output": "no-out", **config})
    assert answer.status_code == 400
    assert named in answer.json()["reason"], answer.text
