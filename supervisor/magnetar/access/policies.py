"""Administrators and permissions, asked from the broker's admin API and remembered for a moment."""

import re
import time
from collections.abc import Awaitable, Callable, Collection

from magnetar.broker_admin import BrokerAdmin
from magnetar.errors import BrokerRefusedError, RequestError

REMEMBERED = 2.0
"""Seconds after which a change of an administrator or a permission counts."""
_MOST = 4096
_NOT_FOUND = 404
_NAME = re.compile(r"[-=:.\w]+", re.ASCII)


class BrokerPolicies:
    """What the broker keeps; a broker that refuses to tell makes the request fail (500), and grants nothing."""

    def __init__(self, admin: BrokerAdmin, now: Callable[[], float] = time.monotonic) -> None:
        self._admin = admin
        self._now = now
        self._known: dict[tuple[str, ...], tuple[float, Collection[str]]] = {}

    async def administrators(self, tenant: str) -> Collection[str]:
        """Return the roles that administer a tenant; none for one that does not exist."""
        return await self._remembered((tenant,), lambda: self._admin.tenant_administrators(tenant))

    async def permitted(self, tenant: str, namespace: str, action: str) -> Collection[str]:
        """Return the roles that have a permission in a namespace; none for one that does not exist."""

        async def ask() -> Collection[str]:
            granted = await self._admin.namespace_permissions(f"{tenant}/{namespace}")
            return frozenset(role for role, actions in granted.items() if action in actions)

        return await self._remembered((tenant, namespace, action), ask)

    async def _remembered(self, key: tuple[str, ...], ask: Callable[[], Awaitable[Collection[str]]]) -> Collection[str]:
        if any(not _NAME.fullmatch(part) or part in {".", ".."} for part in key):
            return frozenset()  # no tenant or namespace can have the name, and it must not lead elsewhere in a path
        known = self._known.get(key)
        if known is not None and self._now() - known[0] < REMEMBERED:
            return known[1]
        asked = self._now()
        found = await _answer(ask)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (asked, found)
        return found


async def _answer(ask: Callable[[], Awaitable[Collection[str]]]) -> Collection[str]:
    try:
        return await ask()
    except BrokerRefusedError as error:
        if error.status == _NOT_FOUND:
            return frozenset()
        # The refusal is of this worker's own credentials, not of the caller's.
        raise RequestError(f"what the caller may do could not be asked: {error}") from None
