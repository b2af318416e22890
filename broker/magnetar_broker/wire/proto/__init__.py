"""The messages of Pulsar's binary protocol, read from compiled descriptors into a pool of their own.

A private pool lets another program in the same process have its own copies; `scripts/protos` regenerates the descriptors.
"""

from importlib.resources import files

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_pool = descriptor_pool.DescriptorPool()
_compiled = files(__name__).joinpath("descriptors.binpb").read_bytes()
for _file in descriptor_pb2.FileDescriptorSet.FromString(_compiled).file:
    _pool.AddSerializedFile(_file.SerializeToString())


def message_class(name: str) -> type[message.Message]:
    """Return the message class of a full protobuf name, e.g. `pulsar.proto.BaseCommand`."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


def enum_values(name: str) -> dict[str, int]:
    """Return an enum's values by name, e.g. of `pulsar.proto.ServerError`."""
    return {value.name: value.number for value in _pool.FindEnumTypeByName(name).values}
