"""What a function may ask for that an older instance does not know: its parser would end the instance."""

from collections.abc import Callable, Iterator

from magnetar_instance.proto.function import MANUAL, ConsumerSpec, FunctionDetails

from magnetar.errors import RefusedError
from magnetar.java.version import Version, show_version

_FIELDS: tuple[tuple[str, Version, Callable[[FunctionDetails], bool]], ...] = (
    ("processingGuarantees MANUAL", (2, 11), lambda details: details.processingGuarantees == MANUAL),
    ("poolMessages", (2, 9), lambda details: any(each.poolMessages for each in _inputs(details))),
    ("skipToLatest", (3, 0), lambda details: details.source.skipToLatest),
    ("compressionType", (3, 0), lambda details: details.sink.producerSpec.compressionType != 0),
    (
        "messagePayloadProcessorConfig",
        (4, 1),
        lambda details: any(each.HasField("messagePayloadProcessorSpec") for each in _inputs(details)),
    ),
    ("batchingConfig", (4, 1), lambda details: details.sink.producerSpec.HasField("batchingSpec")),
)
"""Each field, the version of Pulsar that brought it, and whether a function uses it."""


def refuse_newer_fields(details: FunctionDetails, version: Version) -> None:
    """Raise RefusedError that names the first field which an instance of this version does not know."""
    for name, since, used in _FIELDS:
        if version < since and used(details):
            raise RefusedError(
                f"{name} needs an instance of Pulsar {show_version(since)} or newer, and this worker's is of "
                f"{show_version(version)}: leave it out, or point javaInstanceJarLocation at a newer Pulsar"
            )


def _inputs(details: FunctionDetails) -> Iterator[ConsumerSpec]:
    return iter(details.source.inputSpecs.values())
