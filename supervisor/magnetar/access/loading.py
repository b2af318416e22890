"""From a worker's config to those who judge its requests."""

from collections.abc import Callable, Mapping

from magnetar.access.authentication import Authentication
from magnetar.access.authorization import Authorization
from magnetar.access.base import AuthenticationProvider
from magnetar.access.policies import BrokerPolicies
from magnetar.broker_admin import BrokerAdmin
from magnetar.config.security_keys import BASIC_PROVIDER, TLS_PROVIDER, TOKEN_PROVIDER
from magnetar.config.worker import WorkerConfig
from magnetar.extensions import load_class

Properties = Mapping[str, object]


def load_authentication(config: WorkerConfig) -> Authentication | None:
    """Return what finds out who sends a request, None where `authenticationEnabled` is off. Raises StartError."""
    if not config.authentication_enabled:
        return None
    return Authentication(
        [_provider(name, config.properties) for name in config.authentication_providers],
        anonymous=config.anonymous_user_role or None,
        strict=config.strict_auth_method,
        proxies=config.proxy_roles,
    )


def load_authorization(config: WorkerConfig, admin: BrokerAdmin) -> Authorization | None:
    """Return what judges whom a request comes from, None where `authorizationEnabled` is off."""
    if not config.authorization_enabled:
        return None
    return Authorization(config.super_user_roles, config.proxy_roles, BrokerPolicies(admin))


def _provider(name: str, properties: Properties) -> AuthenticationProvider:
    made: AuthenticationProvider = load_class("authenticationProviders", name, AuthenticationProvider, _built_in())(
        properties
    )
    return made


def _built_in() -> Mapping[str, Callable[[Properties], AuthenticationProvider]]:
    # What checks tokens takes longer to import than all else of a start that needs none.
    from magnetar.access.providers import BasicProvider, TlsProvider, TokenProvider  # noqa: PLC0415

    return {TOKEN_PROVIDER: TokenProvider, TLS_PROVIDER: TlsProvider, BASIC_PROVIDER: BasicProvider}
