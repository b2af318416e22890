"""Where things are in the broker's admin API. Pure."""

import re
from urllib.parse import quote

from magnetar.errors import RefusedError

_TOPIC = re.compile(r"(persistent|non-persistent)://([^/]+)/([^/]+)/(.+)")
_PACKAGE = re.compile(r"(function|sink|source)://([^/]+)/([^/]+)/([^/@]+)(?:@([^/]+))?")


def topic_path(topic: str) -> str:
    """Return the path of a topic, given by its full name."""
    parts = _TOPIC.fullmatch(topic)
    if not parts:
        raise RefusedError(f"topic {topic!r} is not persistent://tenant/namespace/name")
    return "/admin/v2/" + "/".join(quote(part, safe="") for part in parts.groups())


def namespace_path(namespace: str, rest: str = "") -> str:
    """Return the path of `tenant/namespace`."""
    return f"/admin/v2/namespaces/{quote(namespace)}{rest}"


def package_path(url: str) -> str:
    """Return the path of `function://tenant/namespace/name[@version]`; without a version, of all versions."""
    parts = _PACKAGE.fullmatch(url)
    if not parts:
        raise RefusedError(f"package {url!r} is not function://tenant/namespace/name@version")
    return "/admin/v3/packages/" + "/".join(quote(part, safe="") for part in parts.groups() if part)
