"""What a function is given beside its input: Pulsar's Context, unchanged."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pulsar
from pulsar.functions.context import Context

from magnetar_instance.delivery import Confirmation, Deliveries, Round
from magnetar_instance.figures import Figures
from magnetar_instance.messages import origin_of
from magnetar_instance.publishing import Publisher
from magnetar_instance.secrets import Secrets
from magnetar_instance.serde import IdentitySerDe, SerDe, serde_for
from magnetar_instance.settings import PENDING_KEY, InstanceSettings
from magnetar_instance.state import StateStore
from magnetar_instance.state_context import StateMethods
from magnetar_instance.tracing import Tracing


class FunctionContext(StateMethods, Context):  # type: ignore[misc] # Pulsar's client has no types
    """The context of one instance; `current` is the message being processed, set by the runner alone."""

    _alone = False
    """Whether what is published is confirmed by itself, and not by the flush of its round."""

    def __init__(
        self,
        settings: InstanceSettings,
        figures: Figures,
        publisher: Publisher,
        secrets: Secrets,
        logger: logging.Logger,
        acknowledge: Callable[[pulsar.MessageId, str], None],
        import_module: Callable[[str], ModuleType],
        client: pulsar.Client,
        state: StateStore | None = None,
    ) -> None:
        details = settings.details
        self._state = state
        self.current: Any = None
        self.tracing: Tracing | None = None
        self.confirmation: Confirmation | None = None
        self._deliveries: Deliveries | None = None
        self._round: Round | None = None
        self._thread = 0
        self._import_module = import_module
        self._client = client
        self._serdes: dict[str, SerDe] = {"serde.IdentitySerDe": IdentitySerDe()}
        self._settings = settings
        self._figures = figures
        self._publisher = publisher
        self._secrets = secrets
        self._logger = logger
        self._acknowledge = acknowledge
        self._user_config: dict[str, Any] = json.loads(details.userConfig) if details.userConfig else {}
        self._user_config.pop(PENDING_KEY, None)
        self._secrets_map: dict[str, Any] = json.loads(details.secretsMap) if details.secretsMap else {}

    # What the runner does.

    def begin_round(self, deliveries: Deliveries, round_: Round) -> None:
        """Belong to a round, in the thread that calls this."""
        self._deliveries = deliveries
        self._round = round_
        self._thread = threading.get_ident()

    def apart(self) -> Confirmation | None:
        """Return the confirmation of the current input, which is from now on settled apart from its round.

        None in a thread of the function's own: what such a thread publishes belongs to no input.
        """
        if self._deliveries is None or self._round is None or threading.get_ident() != self._thread:
            return None
        if self.confirmation is None:
            self.confirmation = self._deliveries.set_apart(self._round, self.current)
        return self.confirmation

    def trace(self) -> Mapping[str, str]:
        """Return the properties that carry the span of the call on; none where there are no spans."""
        return {} if self.tracing is None else self.tracing.properties()

    # The message.

    def get_message_id(self) -> pulsar.MessageId:
        """Return the id of the message being processed."""
        return self.current.message_id()

    def get_message_key(self) -> str:
        """Return its key."""
        return str(self.current.partition_key())

    def get_partition_key(self) -> str:
        """Return its key."""
        return str(self.current.partition_key())

    def get_ordering_key(self) -> str:
        """Return its ordering key."""
        return str(self.current.ordering_key())

    def get_message_eventtime(self) -> int:
        """Return its event time in milliseconds, 0 when it has none."""
        return int(self.current.event_timestamp())

    def get_message_properties(self) -> dict[str, str]:
        """Return its properties."""
        return dict(self.current.properties())

    def get_current_message_topic_name(self) -> str:
        """Return its topic, with the partition if there is one."""
        return str(self.current.topic_name())

    def get_message_sequence_id(self) -> int | None:
        """Return its sequence id (Pulsar 4.x); None for a message of a batch."""
        identity = self.current.message_id()
        return None if identity.batch_index() >= 0 else identity.ledger_id() << 28 | identity.entry_id()

    def get_message_partition_index(self) -> int:
        """Return the number of its partition, -1 without one (Pulsar 4.x)."""
        return int(self.current.message_id().partition())

    # The function.

    def get_function_tenant(self) -> str:
        """Return the function's tenant."""
        return self._settings.details.tenant

    def get_function_namespace(self) -> str:
        """Return the function's namespace."""
        return self._settings.details.namespace

    def get_function_name(self) -> str:
        """Return the function's name."""
        return self._settings.details.name

    def get_function_id(self) -> str:
        """Return the id that this start of the function was given."""
        return self._settings.function_id

    def get_function_version(self) -> str:
        """Return the version that this start of the function was given."""
        return self._settings.function_version

    def get_instance_id(self) -> str:
        """Return the instance's number, as text."""
        return str(self._settings.instance_id)

    def get_logger(self) -> logging.Logger:
        """Return the logger whose records go to the function's log file."""
        return self._logger

    def get_user_config_value(self, key: str) -> Any:
        """Return a value of the user config, None when it is absent."""
        return self._user_config.get(key)

    def get_user_config_map(self) -> dict[str, Any]:
        """Return the user config."""
        return self._user_config

    def get_secret(self, secret_name: str) -> str | None:
        """Return a secret, None when the function has none of the name."""
        if secret_name not in self._secrets_map:
            return None
        return self._secrets(secret_name, self._secrets_map[secret_name])

    def record_metric(self, metric_name: str, metric_value: float) -> None:
        """Record a value of a metric of the function's own."""
        self._figures.record(metric_name, float(metric_value))

    def get_input_topics(self) -> list[str]:
        """Return the topics that the function reads."""
        return list(self._settings.details.source.inputSpecs)

    def get_output_topic(self) -> str:
        """Return the topic that results go to, empty without one."""
        return self._settings.details.sink.topic

    def get_output_serde_class_name(self) -> str:
        """Return the class that serializes results, empty for the default."""
        return self._settings.details.sink.serDeClassName

    def get_pulsar_client(self) -> pulsar.Client:
        """Return the client of this instance (Pulsar 4.x); it closes with the instance."""
        return self._client

    # What a function can do.

    def publish(
        self,
        topic_name: str,
        message: object,
        serde_class_name: str = "serde.IdentitySerDe",
        properties: Mapping[str, str] | None = None,
        compression_type: pulsar.CompressionType = None,
        callback: Callable[..., None] | None = None,
        message_conf: Mapping[str, Any] | None = None,
    ) -> None:
        """Publish to any topic; the input counts as done when this is confirmed too. Raises what the client refuses."""
        data = self._serde(serde_class_name).serialize(message)
        if data is None:
            return
        options = dict(message_conf or {})
        merged = {**options.pop("properties", {}), **(properties or {})}
        if self.current is not None:
            merged = {**origin_of(self.current), **self.trace(), **merged}
        self._publisher.send(
            topic_name,
            data,
            merged,
            self.apart,
            options=options,
            compression=compression_type or pulsar.CompressionType.NONE,
            callback=callback,
            alone=self._alone,
        )

    def _serde(self, class_name: str) -> SerDe:
        known = self._serdes.get(class_name)
        if known is None:
            known = self._serdes[class_name] = serde_for(class_name, "", self._import_module)
        return known

    def ack(self, msgid: pulsar.MessageId, topic: str) -> None:
        """Acknowledge a message of an input topic. Raises ValueError for any other topic."""
        self._acknowledge(msgid, topic)

    def get_metrics(self) -> dict[str, float]:
        """Return the function's own metrics, as sums and counts."""
        return dict(self._figures.metrics().userMetrics)

    def reset_metrics(self) -> None:
        """Reset the function's own metrics and the minute's figures."""
        self._figures.reset()

    def get_and_reset_metrics(self) -> dict[str, float]:
        """Return the function's own metrics and reset them."""
        metrics = self.get_metrics()
        self.reset_metrics()
        return metrics
