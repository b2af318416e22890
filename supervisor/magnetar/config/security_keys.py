"""Keys about who may ask, and about the worker's own credentials and certificates."""

from pydantic import Field

from magnetar.config.base import Keys

_PULSAR = "org.apache.pulsar.broker.authentication"
TOKEN_PROVIDER = f"{_PULSAR}.AuthenticationProviderToken"
TLS_PROVIDER = f"{_PULSAR}.AuthenticationProviderTls"
BASIC_PROVIDER = f"{_PULSAR}.AuthenticationProviderBasic"
AUTHORIZATION_PROVIDER = "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider"


class SecurityKeys(Keys):
    """Authentication, authorization and TLS, inwards and towards the broker."""

    authentication_enabled: bool = False
    authorization_enabled: bool = False
    authentication_providers: tuple[str, ...] = ()
    authorization_provider: str = AUTHORIZATION_PROVIDER
    super_user_roles: frozenset[str] = frozenset()
    proxy_roles: frozenset[str] = frozenset()
    anonymous_user_role: str | None = None
    strict_auth_method: bool = False
    broker_client_authentication_enabled: bool | None = None
    broker_client_authentication_plugin: str | None = None
    broker_client_authentication_parameters: str | None = Field(default=None, repr=False)
    client_authentication_plugin: str | None = None
    client_authentication_parameters: str | None = Field(default=None, repr=False)
    broker_client_trust_certs_file_path: str | None = None
    bookkeeper_client_authentication_plugin: str | None = None
    bookkeeper_client_authentication_parameters_name: str | None = None
    bookkeeper_client_authentication_parameters: str | None = None
    use_tls: bool = False
    tls_enabled: bool = False
    tls_certificate_file_path: str | None = None
    tls_key_file_path: str | None = None
    tls_trust_certs_file_path: str = ""
    tls_allow_insecure_connection: bool = False
    tls_require_trusted_client_cert_on_connect: bool = False
    tls_enable_hostname_verification: bool = False
    tls_cert_refresh_check_duration_sec: int = Field(default=300, ge=0)
    tls_enabled_with_key_store: bool = False
    tls_provider: str | None = None
    tls_key_store_type: str = "JKS"
    tls_key_store: str | None = None
    tls_key_store_password: str | None = Field(default=None, repr=False)
    tls_trust_store_type: str = "JKS"
    tls_trust_store: str | None = None
    tls_trust_store_password: str | None = Field(default=None, repr=False)
    web_service_tls_protocols: frozenset[str] = frozenset()
    web_service_tls_ciphers: frozenset[str] = frozenset()
    tls_factory_class_name: str | None = None
    tls_factory_config: str | None = None
    broker_client_tls_factory_class_name: str | None = None
    broker_client_tls_factory_config: str | None = None
    jsse_provider: str | None = None
    sasl_jaas_client_allowed_ids: str = ".*pulsar.*"
    sasl_jaas_server_section_name: str = "PulsarFunction"
    sasl_jaas_server_role_token_signer_secret_path: str | None = None
    kinit_command: str = "/usr/bin/kinit"

    @property
    def authenticates_to_broker(self) -> bool:
        """Whether the worker sends credentials to the broker; unset means: when it asks for them itself."""
        if self.broker_client_authentication_enabled is None:
            return self.authentication_enabled
        return self.broker_client_authentication_enabled

    @property
    def broker_credentials(self) -> tuple[str, str] | None:
        """The worker's own plugin and parameters under their newer or older names, None without a plugin."""
        plugin = self.broker_client_authentication_plugin or self.client_authentication_plugin
        parameters = self.broker_client_authentication_parameters or self.client_authentication_parameters
        return (plugin, parameters or "") if plugin else None

    @property
    def broker_trust_certs(self) -> str | None:
        """The file of authorities that vouch for the broker, if any."""
        return self.broker_client_trust_certs_file_path or self.tls_trust_certs_file_path or None
