"""Names of topics and namespaces as Pulsar spells them. Pure."""

from dataclasses import dataclass

from magnetar_broker.errors import InvalidError

_PARTITION = "-partition-"
_PERSISTENT, _NON_PERSISTENT = "persistent", "non-persistent"


@dataclass(frozen=True, slots=True)
class TopicName:
    """A topic: `persistent://tenant/namespace/name`, or `non-persistent://…`."""

    tenant: str
    namespace_name: str
    name: str
    persistent: bool = True

    @property
    def namespace(self) -> str:
        """The namespace as `tenant/namespace`."""
        return f"{self.tenant}/{self.namespace_name}"

    def __str__(self) -> str:
        domain = _PERSISTENT if self.persistent else _NON_PERSISTENT
        return f"{domain}://{self.tenant}/{self.namespace_name}/{self.name}"

    @property
    def partition(self) -> int:
        """The number of the partition, -1 when it is none."""
        _, separator, number = self.name.rpartition(_PARTITION)
        return int(number) if separator and number.isdigit() else -1


def parse_topic(text: str) -> TopicName:
    """Read a topic's name, full or short (`name`, `tenant/namespace/name`). Raises InvalidError."""
    domain, separator, rest = text.partition("://")
    if not separator:
        domain, rest = _PERSISTENT, text
    parts = rest.split("/", 2)
    if len(parts) == 1:
        parts = ["public", "default", *parts]
    if domain not in {_PERSISTENT, _NON_PERSISTENT} or len(parts) != 3 or not all(parts):
        raise InvalidError(f"{text!r} is no topic name; write persistent://tenant/namespace/name")
    tenant, namespace, name = parts
    return TopicName(tenant, namespace, name, persistent=domain == _PERSISTENT)


def partitioned_name(topic: TopicName) -> str:
    """Return the full name of the topic that one is a partition of; its own where it is none."""
    name = str(topic)
    return name if topic.partition < 0 else name.rpartition(_PARTITION)[0]


def partition_name(base: str, number: int) -> str:
    """Return the full name of one partition."""
    return f"{base}{_PARTITION}{number}"
