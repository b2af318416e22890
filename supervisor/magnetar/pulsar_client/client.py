"""The client as a whole."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pulsar
from magnetar_instance.closable import closable

from magnetar.credentials import BrokerCredentials
from magnetar.pulsar_client.consumer import Consumer, SubscriptionKind
from magnetar.pulsar_client.lanes import Lanes
from magnetar.pulsar_client.messages import LATEST, MessageId
from magnetar.pulsar_client.producer import Producer
from magnetar.pulsar_client.reader import Reader

_ANONYMOUS = BrokerCredentials()
# The client's own lines go where they can't be taken for output, by its C++ code: a Python logger would be called from
# its threads. The first client of a process sets this for all of them.
_LOG = Path("/dev/stderr")


class PulsarClient:
    """An async context manager; leaving it closes everything made with it and ends every blocked call.

    Calls raise NotReadyError when the broker does not answer (within 30 s), BrokerRefusedError with a matching HTTP status
    when it refuses, and anyio.ClosedResourceError after closing.
    """

    def __init__(self, url: str, credentials: BrokerCredentials = _ANONYMOUS) -> None:
        self.url = url
        self._credentials = credentials
        self._lanes = Lanes()
        self._official: Any = None

    async def __aenter__(self) -> Self:
        self._official = _official_client(self.url, self._credentials)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Closing asks the broker, which may be gone; shutting down does not, and ends whatever is still blocked.
        await self._lanes.closing(self._official.close)
        self._official.shutdown()
        await self._lanes.drained()

    async def create_producer(
        self,
        topic: str,
        *,
        name: str | None = None,
        exclusive: bool = False,
        properties: Mapping[str, str] | None = None,
    ) -> Producer:
        """Create a producer that sends without batches; an exclusive one is the topic's only one, or raises FencedError."""
        access = pulsar.ProducerAccessMode.Exclusive if exclusive else pulsar.ProducerAccessMode.Shared

        def create() -> Any:
            return self._official.create_producer(
                topic,
                name,
                access_mode=access,
                compression_type=pulsar.CompressionType.LZ4,
                block_if_queue_full=True,
                properties=dict(properties or {}),
            )

        made = await self._lanes.make(f"creating a producer of {topic}", create, lambda each: each.close())
        return Producer(self._lanes, made, topic)

    async def reader(
        self, topic: str, start: MessageId = LATEST, *, compacted: bool = False, name: str | None = None
    ) -> Reader:
        """Create a reader of what comes after `start`; `name` also begins the name of its subscription."""

        def create() -> Any:
            return self._official.create_reader(
                topic, start.official(), reader_name=name, subscription_role_prefix=name, is_read_compacted=compacted
            )

        made = await self._lanes.make(f"creating a reader of {topic}", create, lambda each: each.close())
        return Reader(self._lanes, made, topic)

    async def subscribe(
        self,
        topic: str,
        name: str,
        *,
        kind: SubscriptionKind = SubscriptionKind.EXCLUSIVE,
        consumer_name: str | None = None,
        properties: Mapping[str, str] | None = None,
        earliest: bool = False,
    ) -> Consumer:
        """Subscribe; a subscription that is new starts at the topic's latest message unless `earliest` is set."""
        position = pulsar.InitialPosition.Earliest if earliest else pulsar.InitialPosition.Latest

        def create() -> Any:
            return self._official.subscribe(
                topic,
                name,
                kind.official(),
                consumer_name=consumer_name,
                properties=dict(properties or {}),
                initial_position=position,
            )

        made = await self._lanes.make(f"subscribing to {topic}", create, lambda each: each.close())
        return Consumer(self._lanes, made, topic)


def _official_client(url: str, credentials: BrokerCredentials) -> Any:
    trust = str(credentials.trust_certs) if credentials.trust_certs else None
    made = pulsar.Client(
        url,
        authentication=_authentication(credentials),
        tls_trust_certs_file_path=trust,
        tls_allow_insecure_connection=credentials.allow_insecure,
        tls_validate_hostname=credentials.verify_hostname and not credentials.allow_insecure,
        logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, str(_LOG)),
        stats_interval_in_seconds=0,
    )
    return closable(made)


def _authentication(credentials: BrokerCredentials) -> Any:
    if credentials.method == "token":
        file = credentials.parameters
        # The client reads the file itself, anew at each connection.
        if file.startswith("file:"):
            return pulsar.Authentication("token", f"file://{unquote(urlsplit(file).path)}")
        return pulsar.AuthenticationToken(credentials.token())
    if credentials.method == "tls":
        return pulsar.AuthenticationTLS(*credentials.client_certificate())
    if credentials.method == "basic":
        return pulsar.AuthenticationBasic(*credentials.basic())
    return None
