"""Which requests a browser may have been tricked into: create runs code, and any web page can post to loopback."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from magnetar_broker.loopback import is_loopback
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from magnetar.rest.refusal import reason

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class GuardPolicy:
    """Whom the API answers: judged by the address it is bound to and by `magnetar.allowedHosts`. Pure."""

    bound_host: str
    allowed_hosts: tuple[str, ...] = ()

    def refusal(self, method: str, host: str, origin: str | None) -> str | None:
        """Return why a request is refused, None when it is not; `host` and `origin` are the headers' values."""
        if host and not self._is_ours(host):
            return (
                f"the Host {host!r} is not one of this worker's: use its own address, "
                "or add the name to magnetar.allowedHosts"
            )
        if origin and method not in _HARMLESS and not self._is_same(origin, host):
            return f"the Origin {origin!r} is foreign: requests that change something come from this worker's own pages"
        return None

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        if name in {allowed.lower() for allowed in self.allowed_hosts}:
            return True
        if is_loopback(self.bound_host):
            return is_loopback(name)
        return not self.allowed_hosts or name == self.bound_host.lower()

    def _is_same(self, origin: str, host: str) -> bool:
        if origin.partition("://")[2].lower() == host.lower():
            return True
        return host_name(origin.partition("://")[2]) in {allowed.lower() for allowed in self.allowed_hosts}


def host_name(host: str) -> str:
    """Return the name or address of a Host header, without port and brackets, in lower case; empty for nonsense."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class Guard:
    """Refuses with 403, before anything of a request's body is read."""

    def __init__(self, app: ASGIApp, policy: GuardPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge a request by its headers and hand it on."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            why = self._policy.refusal(scope["method"], headers.get("host", ""), _first(headers.getlist("origin")))
            if why:
                await reason(403, why)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _first(values: Sequence[str]) -> str | None:
    return values[0] if values else None
