"""Finding out who sent a request, by the providers that are configured."""

from collections.abc import Sequence

from magnetar.access.base import (
    METHOD_HEADER,
    ORIGINAL_PRINCIPAL_HEADER,
    AuthenticationProvider,
    Caller,
    Presented,
)
from magnetar.errors import NotAuthenticatedError

_REQUIRED = "Authentication required"


class Authentication:
    """The configured providers; whom none knows is refused, or is `anonymous` where that role is given.

    The header X-Pulsar-Auth-Method-Name chooses a provider. Without it each is tried in the order of the config, unless
    `strict` forbids that. `proxies` are the roles that ask for others.
    """

    def __init__(
        self,
        providers: Sequence[AuthenticationProvider],
        *,
        anonymous: str | None = None,
        strict: bool = False,
        proxies: frozenset[str] = frozenset(),
    ) -> None:
        self._providers = tuple(providers)
        self._anonymous = anonymous
        self._strict = strict
        self._proxies = proxies

    @property
    def methods(self) -> frozenset[str]:
        """The methods of the providers."""
        return frozenset(provider.method for provider in self._providers)

    def identify(self, presented: Presented) -> Caller:
        """Return who sent a request. Raises NotAuthenticatedError, with each provider's reason."""
        original = presented.headers.get(ORIGINAL_PRINCIPAL_HEADER) or None
        method = presented.headers.get(METHOD_HEADER, "")
        reasons = []
        for provider in self._chosen(method):
            try:
                role = provider.authenticate(presented)
            except NotAuthenticatedError as error:
                reasons.append(str(error))
                continue
            return Caller(role, provider.method, original, self._own_token(role, provider, presented))
        if self._anonymous and not method:
            return Caller(self._anonymous, "anonymous", original)
        raise NotAuthenticatedError(f"{_REQUIRED}: {'; or '.join(reasons) or self._unknown(method)}")

    def _chosen(self, method: str) -> tuple[AuthenticationProvider, ...]:
        if not method:
            return () if self._strict else self._providers
        return tuple(provider for provider in self._providers if provider.method == method)

    def _unknown(self, method: str) -> str:
        known = ", ".join(sorted(self.methods))
        if not method:
            return f"send the header X-Pulsar-Auth-Method-Name with one of {known}"
        return f"the method {method!r} is none of this worker's ({known})"

    def _own_token(self, role: str, provider: AuthenticationProvider, presented: Presented) -> str | None:
        """Return the token that the caller showed; a proxy's is the proxy's own, and nobody else's."""
        if provider.method != "token" or role in self._proxies:
            return None
        return presented.authorization("Bearer")
