"""What a namespace's policies mean for its topics. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from magnetar_broker.errors import InvalidError

_MIB = 1024 * 1024
HOLD, EXCEPTION, EVICTION = "producer_request_hold", "producer_exception", "consumer_backlog_eviction"
STRATEGIES = (
    "ALWAYS_INCOMPATIBLE",
    "ALWAYS_COMPATIBLE",
    "BACKWARD",
    "FORWARD",
    "FULL",
    "BACKWARD_TRANSITIVE",
    "FORWARD_TRANSITIVE",
    "FULL_TRANSITIVE",
)


@dataclass(frozen=True)
class Retention:
    """How long and how much is kept of what everyone has acknowledged; None: without a limit."""

    seconds: float | None = 0.0
    bytes: int | None = 0

    @property
    def nothing(self) -> bool:
        """Whether nothing is kept."""
        return self.seconds == 0 or self.bytes == 0


@dataclass(frozen=True)
class BacklogQuota:
    """How large a backlog may grow and what happens then; None: without a limit."""

    bytes: int | None = None
    seconds: int | None = None
    policy: str = HOLD


@dataclass(frozen=True)
class TopicPolicies:
    """The policies that this broker carries out."""

    retention: Retention = field(default_factory=Retention)
    quota: BacklogQuota = field(default_factory=BacklogQuota)
    ttl_seconds: int = 0
    deduplication: bool = False
    strategy: str = "FULL"
    schema_updates: bool = True


def topic_policies(policies: Mapping[str, object], default_quota: BacklogQuota) -> TopicPolicies:
    """Read a namespace's policies in the form of Pulsar's admin API. Raises InvalidError for what makes no sense."""
    ttl = policies.get("message_ttl_in_seconds") or 0
    strategy = policies.get("schema_compatibility_strategy") or "FULL"
    if not isinstance(ttl, int) or ttl < 0:
        raise InvalidError(f"message_ttl_in_seconds: {ttl!r} is no number of seconds; give 0 or more")
    if strategy == "UNDEFINED":
        strategy = "FULL"
    if strategy not in STRATEGIES:
        raise InvalidError(
            f"schema_compatibility_strategy: {strategy!r} is none; there are {', '.join(STRATEGIES)} and UNDEFINED"
        )
    if policies.get("subscription_auth_mode") not in {None, "None", "Prefix"}:
        raise InvalidError(
            f"subscription_auth_mode: {policies['subscription_auth_mode']!r} is none; there are None and Prefix"
        )
    return TopicPolicies(
        retention=_retention(policies.get("retention_policies")),
        quota=_quota(policies.get("backlog_quota_map"), default_quota),
        ttl_seconds=ttl,
        deduplication=policies.get("deduplicationEnabled") is True,
        strategy=str(strategy),
        schema_updates=policies.get("is_allow_auto_update_schema") is not False,
    )


def _retention(value: object) -> Retention:
    if value is None:
        return Retention()
    if not isinstance(value, Mapping):
        raise InvalidError(f"retention_policies: {value!r} is no object")
    minutes = _number(value, "retentionTimeInMinutes", "retention_policies")
    megabytes = _number(value, "retentionSizeInMB", "retention_policies")
    if (minutes == 0) != (megabytes == 0):
        raise InvalidError("Invalid retention policy: time and size must both be 0, or neither; -1 is without a limit")
    return Retention(None if minutes < 0 else minutes * 60.0, None if megabytes < 0 else megabytes * _MIB)


def _quota(value: object, default: BacklogQuota) -> BacklogQuota:
    if not value:
        return default
    if not isinstance(value, Mapping):
        raise InvalidError(f"backlog_quota_map: {value!r} is no object")
    found = value.get("destination_storage")
    age = value.get("message_age")
    policy, size, seconds = default.policy, default.bytes, default.seconds
    for each in (age, found):
        if isinstance(each, Mapping):
            policy = str(each.get("policy") or policy)
    if isinstance(found, Mapping):
        limit = _number(found, "limitSize" if found.get("limitSize") is not None else "limit", "backlog_quota_map")
        size = limit if limit >= 0 else None
    for each in (found, age):
        if isinstance(each, Mapping) and (limit := _number(each, "limitTime", "backlog_quota_map")) > 0:
            seconds = limit
    if policy not in {HOLD, EXCEPTION, EVICTION}:
        raise InvalidError(f"backlog_quota_map: policy {policy!r} is none; there are {HOLD}, {EXCEPTION}, {EVICTION}")
    return BacklogQuota(size, seconds, policy)


def _number(value: Mapping[str, object], key: str, within: str) -> int:
    number = value.get(key)
    if number is None:
        return -1 if within == "backlog_quota_map" else 0
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidError(f"{within}: {key} is {number!r}; give a whole number")
    return number
