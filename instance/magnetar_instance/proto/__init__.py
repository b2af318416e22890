"""Pulsar's messages, read from compiled descriptors into a pool of their own.

A private pool lets user code import its own copies of the same messages, and any protobuf runtime since 4.25 read them:
generated Python code would refuse a runtime older than itself. `scripts/protos` regenerates the descriptors and stubs.
"""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pool, message, message_factory


def _files(compiled: bytes) -> Iterator[bytes]:
    """Cut a FileDescriptorSet into its files: a tag, a size in groups of seven bits, a file; and so on.

    Protobuf's own `descriptor_pb2` could do it, and takes more time than all the rest here.
    """
    at = 0
    while at < len(compiled):
        size, shift, at = 0, 0, at + 1
        while True:
            size |= (compiled[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if compiled[at - 1] < 0x80:
                break
        yield compiled[at : at + size]
        at += size


_pool = descriptor_pool.DescriptorPool()
for _file in _files(Path(__file__).with_name("descriptors.binpb").read_bytes()):
    _pool.AddSerializedFile(_file)


def message_class(name: str) -> type[message.Message]:
    """Return the message class of a full protobuf name, e.g. `proto.FunctionDetails`."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


def enum_values(name: str) -> dict[str, int]:
    """Return an enum's values by name, e.g. of `proto.ProcessingGuarantees`."""
    return {value.name: value.number for value in _pool.FindEnumTypeByName(name).values}
