"""Downloads over HTTP: whole or not at all, and only from where packages may come from, redirects included."""

from pathlib import Path

import anyio
import httpx

from magnetar.errors import NotReadyError, RefusedError
from magnetar.packages.locations import UrlPolicy

_MAX_HOPS = 5
_MAX_BYTES = 4 * 2**30


async def download(url: str, target: Path, policy: UrlPolicy) -> None:
    """Write what a URL answers to `target`. The client is made for it: downloads are rare, reading authorities is not free.

    Raises RefusedError for an address that is not allowed or has nothing, NotReadyError when it does not answer now.
    """
    async with httpx.AsyncClient(trust_env=False) as http:
        where = url
        for _ in range(_MAX_HOPS):
            policy.check(where)
            try:
                async with http.stream("GET", where, follow_redirects=False) as response:
                    if response.has_redirect_location:
                        where = str(response.url.join(response.headers["location"]))
                        continue
                    _judge(response, where)
                    await _write(response, target)
                    return
            except httpx.HTTPError as error:
                raise NotReadyError(
                    f"the package {where!r} could not be downloaded: {str(error) or type(error).__name__}"
                ) from None
            except httpx.InvalidURL as error:
                raise RefusedError(f"the package URL {where!r} is not one: {error}") from None
        raise RefusedError(f"the package URL {url!r} is redirected more than {_MAX_HOPS} times")


def _judge(response: httpx.Response, url: str) -> None:
    if response.is_success:
        return
    message = f"the package {url!r} could not be downloaded: HTTP {response.status_code}"
    raise RefusedError(message) if response.is_client_error else NotReadyError(message)


async def _write(response: httpx.Response, target: Path) -> None:
    received = 0
    async with await anyio.open_file(target, "wb") as file:
        async for block in response.aiter_bytes(2**20):
            received += len(block)
            if received > _MAX_BYTES:
                raise RefusedError(f"the package {str(response.url)!r} has more than {_MAX_BYTES >> 20} MiB")
            await file.write(block)
