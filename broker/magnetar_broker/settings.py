"""What a broker can be told."""

from dataclasses import dataclass, field

from magnetar_broker.policies import BacklogQuota
from magnetar_broker.store.journal import SEGMENT_SIZE


@dataclass(frozen=True)
class BrokerSettings:
    """How a broker keeps what it keeps; seconds and bytes throughout.

    Cursors are written every `cursor_interval`: a crash delivers again what was acknowledged since. Every
    `reclaim_interval` what nobody wants is dropped. `backlog_quota` holds where a namespace has none of its own.
    """

    cursor_interval: float = 0.1
    reclaim_interval: float = 5.0
    segment_size: int = SEGMENT_SIZE
    backlog_quota: BacklogQuota = field(default_factory=BacklogQuota)
