"""The official client of one instance."""

import pulsar

from magnetar_instance.closable import closable
from magnetar_instance.errors import BootError
from magnetar_instance.input_specs import specs_of
from magnetar_instance.settings import ClientAuth, InstanceSettings

_OPERATION_TIMEOUT = 30


def connect(settings: InstanceSettings) -> pulsar.Client:
    """Return a client that any thread may close, which connects when it is first used.

    Raises BootError for settings that no client takes.
    """
    auth = settings.auth
    try:
        made = pulsar.Client(
            settings.service_url,
            authentication=_authentication(auth),
            operation_timeout_seconds=_OPERATION_TIMEOUT,
            io_threads=1,
            message_listener_threads=1,
            tls_trust_certs_file_path=auth.tls_trust_certs or None,
            tls_allow_insecure_connection=auth.tls_allow_insecure,
            tls_validate_hostname=auth.tls_hostname_verification,
            logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Warn),
        )
    except (pulsar.PulsarException, ValueError, RuntimeError) as error:
        raise BootError(f"no client can be made for {settings.service_url}: {error}") from error
    return closable(made)


def reach(client: pulsar.Client, settings: InstanceSettings) -> None:
    """Have the client connect before it is needed, or raise PulsarException; inputs by a pattern alone tell no topic."""
    topic = next((topic for topic, spec in specs_of(settings.details).items() if not spec.isRegexPattern), None)
    if topic is not None:
        client.get_topic_partitions(topic)


def _authentication(auth: ClientAuth) -> pulsar.Authentication | None:
    if not (auth.plugin and auth.parameters):
        return None
    return pulsar.Authentication(auth.plugin, auth.parameters)
