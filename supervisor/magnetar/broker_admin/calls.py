"""Requests to the broker whose refusal is an error that tells the broker's own reason."""

from collections.abc import Mapping

import httpx

from magnetar.admin_calls import AdminCalls, reason_of
from magnetar.errors import BrokerRefusedError

_CONFLICT = 409


class BrokerCalls:
    """The base of the admin client's parts: one place that turns answers into values and errors."""

    def __init__(self, calls: AdminCalls) -> None:
        self._calls = calls

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        files: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        return checked(await self._calls.call(method, path, json=json, params=params, files=files))

    async def _names(self, path: str) -> list[str]:
        answer = (await self._call("GET", path)).json()
        return [str(each) for each in answer] if isinstance(answer, list) else []

    async def _object(self, path: str) -> dict[str, object]:
        answer = (await self._call("GET", path)).json()
        return answer if isinstance(answer, dict) else {}

    async def _created(self, path: str, *, json: object = None) -> bool:
        """Create with PUT; False when it is there already."""
        response = await self._calls.call("PUT", path, json=json)
        if response.status_code == _CONFLICT:
            return False
        checked(response)
        return True


def checked(response: httpx.Response) -> httpx.Response:
    """Return an answer whose body has been read, or raise BrokerRefusedError with the broker's status and reason."""
    if response.is_success:
        return response
    what = f"{response.request.method} {response.request.url.path}"
    message = f"the broker refused {what} ({response.status_code}): {reason_of(response)}"
    raise BrokerRefusedError(message, response.status_code)
