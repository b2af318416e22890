"""Names of functions, instances and topics."""

import re
from typing import NamedTuple

from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError

_ENTITY = re.compile(r"[-=:.\w]+", re.ASCII)
_PARTS_OF_FULL, _PARTS_OF_OLDER = 3, 4


class FunctionName(NamedTuple):
    """A function's name in three parts."""

    tenant: str
    namespace: str
    name: str

    @property
    def fqfn(self) -> str:
        """The name as `tenant/namespace/name`."""
        return "/".join(self)


def name_of(details: FunctionDetails) -> FunctionName:
    """Return the name of a function, source or sink."""
    return FunctionName(details.tenant, details.namespace, details.name)


def parse_fqfn(text: str) -> FunctionName:
    """Return the three parts of `tenant/namespace/name`, or raise RefusedError."""
    parts = text.split("/")
    if len(parts) != _PARTS_OF_FULL or not all(parts):
        raise RefusedError(f"function name {text!r} is not tenant/namespace/name")
    return FunctionName(*parts)


def parse_fqiid(text: str) -> tuple[FunctionName, int]:
    """Return the name and the instance of `tenant/namespace/name:id`, or raise RefusedError."""
    fqfn, _, instance = text.rpartition(":")
    if not re.fullmatch(r"-?\d+", instance):
        raise RefusedError(f"instance name {text!r} is not tenant/namespace/name:id")
    return parse_fqfn(fqfn), int(instance)


def fqiid(fqfn: str, instance_id: int) -> str:
    """Return an instance's name, Pulsar's spelling."""
    return f"{fqfn}:{instance_id}"


def whole_function(fqfn: str) -> str:
    """Return the name of the one assignment that stands for all instances of a function."""
    return fqiid(fqfn, -1)


def full_topic(topic: str) -> str:
    """Return a topic's full name: `x` is `persistent://public/default/x`."""
    if "://" in topic:
        return topic
    return f"persistent://{topic}" if "/" in topic else f"persistent://public/default/{topic}"


def namespace_of(topic: str) -> str:
    """Return the `tenant/namespace` of a topic, or of a pattern of topics, by its full name."""
    return "/".join(topic.partition("://")[2].split("/")[:2])


def is_topic(topic: str) -> bool:
    """Whether a text can name a topic: `x`, `tenant/namespace/x` or with the scheme before it."""
    scheme, separator, rest = topic.partition("://")
    if not separator:
        return _is_path(topic, {1, _PARTS_OF_FULL})
    return scheme in ("persistent", "non-persistent") and _is_path(rest, {_PARTS_OF_FULL, _PARTS_OF_OLDER})


def _is_path(text: str, counts: set[int]) -> bool:
    limit = _PARTS_OF_OLDER if _PARTS_OF_OLDER in counts else _PARTS_OF_FULL
    parts = text.split("/", limit - 1)
    if len(parts) not in counts or (limit == _PARTS_OF_FULL and "/" in parts[-1]):
        return False
    return bool(parts[-1].strip()) and all(_ENTITY.fullmatch(part) for part in parts[:-1])
