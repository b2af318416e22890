"""The broker and the fleet."""

from collections.abc import Mapping
from pathlib import Path

from magnetar_broker.auth.keys import inlined, key_bytes
from magnetar_broker.auth.security_file import AUTHORIZATION, SUPER_USERS, TLS_KEYS
from magnetar_broker.errors import KeyFormatError
from magnetar_broker.loopback import is_loopback

from magnetar.broker_security import BrokerSecurity
from magnetar.config.magnetar import EmbeddedBrokerConfig
from magnetar.config.security_keys import BASIC_PROVIDER, TLS_PROVIDER, TOKEN_PROVIDER
from magnetar.config.worker import WorkerConfig
from magnetar.coordination.settings import CoordinationSettings
from magnetar.credentials import BrokerCredentials
from magnetar.embedded_broker import BrokerProcessSettings, security_file
from magnetar.errors import StartError
from magnetar.processes.launcher import CLEAN_NAMES
from magnetar.worker_settings.kubernetes import externally_managed
from magnetar.worker_settings.policies import survival

_STARTS_OF_AN_UPDATE = 5
"""Starts and ends that an update of one instance may take: one is prepared, three fail, the old one comes back."""
_MARGIN = 10.0
"""Seconds that the ends of instances are given beyond what was promised."""


def broker_process_settings(config: WorkerConfig, environ: Mapping[str, str]) -> BrokerProcessSettings | None:
    """Return how to start the broker that belongs to this worker, None where it uses a Pulsar that is there."""
    broker = config.magnetar.embedded_broker
    if broker is None:
        return None
    data = config.magnetar.data_directory.absolute()
    return BrokerProcessSettings(
        data_directory=data / "broker",
        log_file=data / "broker.log",
        host=broker.host,
        port=broker.ports[0],
        admin_port=broker.ports[1],
        advertised_host=_name(config, broker) if broker.tls else None,
        environment={name: environ[name] for name in CLEAN_NAMES if name in environ},
        security=_security(config, security_file(data / "broker")),
    )


def _name(config: WorkerConfig, broker: EmbeddedBrokerConfig) -> str:
    """Return the name by which a broker is reached that clients compare with its certificate."""
    return "localhost" if is_loopback(broker.host) else config.worker_hostname


def _security(config: WorkerConfig, file: Path) -> BrokerSecurity | None:
    """Return whom the broker lets in: whom the worker knows by a token or a password, and the worker and its functions.

    What outlives the worker goes on with the key that it has; otherwise each start has a new one. Raises StartError.
    """
    tls = _tls_files(config)
    if not config.authentication_enabled:
        return BrokerSecurity(tls) if tls else None
    try:
        providers: dict[str, object] = {**_providers(config), **tls}
    except KeyFormatError as error:
        raise StartError(f"properties, for the embedded broker: {error}") from None
    if config.authorization_enabled:
        providers |= {AUTHORIZATION: True, SUPER_USERS: sorted(config.super_user_roles)}
    return BrokerSecurity.known(providers, file if survival(config) else None)


def _tls_files(config: WorkerConfig) -> dict[str, str]:
    """Return the files of the worker's TLS where its broker speaks it; the authority where clients are known by it."""
    broker = config.magnetar.embedded_broker
    if broker is None or not broker.tls:
        return {}
    known = config.authentication_enabled and TLS_PROVIDER in config.authentication_providers
    files = (
        config.tls_certificate_file_path,
        config.tls_key_file_path,
        config.tls_trust_certs_file_path if known else None,
    )
    return {key: str(Path(file).absolute()) for key, file in zip(TLS_KEYS, files, strict=True) if file}


def _providers(config: WorkerConfig) -> dict[str, str]:
    """Return the keys of those providers that a broker has, too; files stand there as what is in them."""
    from magnetar_broker.auth.tokens import TokenSettings  # noqa: PLC0415 - it takes long to import

    found: dict[str, str] = {}
    if TOKEN_PROVIDER in config.authentication_providers:
        found |= TokenSettings.from_properties(config.properties).to_properties()
    if BASIC_PROVIDER in config.authentication_providers:
        found["basicAuthConf"] = inlined(key_bytes(str(config.properties.get("basicAuthConf"))))
    return found


def broker_credentials(config: WorkerConfig) -> BrokerCredentials:
    """Return how the worker itself authenticates to the broker."""
    given = config.broker_credentials if config.authenticates_to_broker else None
    plugin, parameters = given or ("", "")
    trust = config.broker_trust_certs
    return BrokerCredentials(
        plugin=plugin,
        parameters=parameters,
        trust_certs=Path(trust) if trust else None,
        allow_insecure=config.tls_allow_insecure_connection,
        verify_hostname=config.tls_enable_hostname_verification,
    )


def coordination_settings(config: WorkerConfig, port: int) -> CoordinationSettings:
    """Return how the worker takes part in its fleet; `port` is where others reach its REST API."""
    return CoordinationSettings(
        worker_id=config.worker_id,
        hostname=config.worker_hostname,
        port=port,
        namespace=config.pulsar_functions_namespace,
        cluster=config.pulsar_functions_cluster,
        metadata_name=config.function_metadata_topic_name,
        coordination_name=config.cluster_coordination_topic_name,
        assignment_name=config.function_assignment_topic_name,
        compacted_metadata=config.use_compacted_metadata_topic,
        externally_managed=externally_managed(config),
        failure_check_interval=config.failure_check_freq_ms / 1000,
        reschedule_timeout=_patience(config),
        rebalance_interval=max(config.rebalance_check_freq_sec, 0),
        compaction_interval=max(config.topic_compaction_frequency_sec, 0),
        start_patience=config.initial_broker_reconnect_max_retries,
        turn_patience=_STARTS_OF_AN_UPDATE * (config.magnetar.start_timeout + config.magnetar.stop_grace),
    )


def _patience(config: WorkerConfig) -> float:
    """Return after how many seconds a lost worker's instances are placed elsewhere: not while they may still run there."""
    timeout = config.reschedule_timeout_ms / 1000
    lived = survival(config)
    return timeout if lived is None else max(timeout, lived.survive_for + lived.grace + _MARGIN)
