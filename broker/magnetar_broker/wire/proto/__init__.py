"""The messages of Pulsar's binary protocol, read from compiled descriptors into a pool of their own.

A private pool lets another program in the same process have its own copies; `scripts/protos` regenerates the descriptors.
"""

from collections.abc import Iterator
from importlib.resources import files

from google.protobuf import descriptor_pool, message, message_factory


def _files(compiled: bytes) -> Iterator[bytes]:
    """Cut a FileDescriptorSet into its files: a tag, a size in groups of seven bits, a file; and so on.

    Protobuf's own `descriptor_pb2` could do it, and takes a fifth of the broker's start.
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
for _file in _files(files(__name__).joinpath("descriptors.binpb").read_bytes()):
    _pool.AddSerializedFile(_file)


def message_class(name: str) -> type[message.Message]:
    """Return the message class of a full protobuf name, e.g. `pulsar.proto.BaseCommand`."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


def enum_values(name: str) -> dict[str, int]:
    """Return an enum's values by name, e.g. of `pulsar.proto.ServerError`."""
    return {value.name: value.number for value in _pool.FindEnumTypeByName(name).values}
