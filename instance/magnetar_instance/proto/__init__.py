"""Pulsar's messages, read from compiled descriptors into a pool of their own.

A private pool lets user code import its own copies of the same messages, and any protobuf runtime since 4.25 read them:
generated Python code would refuse a runtime older than itself. `scripts/protos` regenerates the descriptors and stubs.
"""

from importlib.resources import files

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_pool = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(
    files(__name__).joinpath("descriptors.binpb").read_bytes()
).file:
    _pool.AddSerializedFile(_file.SerializeToString())


def message_class(name: str) -> type[message.Message]:
    """Return the message class of a full protobuf name, e.g. `proto.FunctionDetails`."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


def enum_values(name: str) -> dict[str, int]:
    """Return an enum's values by name, e.g. of `proto.ProcessingGuarantees`."""
    return {value.name: value.number for value in _pool.FindEnumTypeByName(name).values}
