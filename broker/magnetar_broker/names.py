"""Names of topics and namespaces as Pulsar spells them. Pure."""

from dataclasses import dataclass

from magnetar_broker.errors import InvalidError, NotAllowedError

_PARTITION = "-partition-"


@dataclass(frozen=True)
class TopicName:
    """A persistent topic: `persistent://tenant/namespace/name`."""

    tenant: str
    namespace_name: str
    name: str

    @property
    def namespace(self) -> str:
        """The namespace as `tenant/namespace`."""
        return f"{self.tenant}/{self.namespace_name}"

    def __str__(self) -> str:
        return f"persistent://{self.tenant}/{self.namespace_name}/{self.name}"

    @property
    def base(self) -> str:
        """The full name of the partitioned topic that this one is a partition of, or its own."""
        stem, separator, number = str(self).rpartition(_PARTITION)
        return stem if separator and number.isdigit() else str(self)

    @property
    def partition(self) -> int:
        """The number of the partition, -1 when it is none."""
        _, separator, number = self.name.rpartition(_PARTITION)
        return int(number) if separator and number.isdigit() else -1


def parse_topic(text: str) -> TopicName:
    """Read a topic's name, full or short (`name`, `tenant/namespace/name`). Raises InvalidError."""
    domain, separator, rest = text.partition("://")
    if not separator:
        domain, rest = "persistent", text
    if domain == "non-persistent":
        raise NotAllowedError(f"{text}: this broker keeps persistent topics alone; use persistent://")
    parts = rest.split("/", 2)
    if len(parts) == 1:
        parts = ["public", "default", *parts]
    if domain != "persistent" or len(parts) != 3 or not all(parts):
        raise InvalidError(f"{text!r} is no topic name; write persistent://tenant/namespace/name")
    return TopicName(*parts)


def partition_name(base: str, number: int) -> str:
    """Return the full name of one partition."""
    return f"{base}{_PARTITION}{number}"
