"""Asking the instances of this host for what they serve as their metrics page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_DEADLINE = 5.0


class Scraper:
    """Fetches the pages of instances; what that needs is made for the first one: Python's instances of ours send theirs."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def page(self, port: int) -> str:
        """Return the metrics of the instance that serves them on `port`, or raise ConnectionError."""
        import httpx  # noqa: PLC0415 - only where it is asked

        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=_DEADLINE)
        try:
            answer = await self._client.get(f"http://127.0.0.1:{port}/metrics")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ConnectionError(f"the instance did not answer with its metrics: {error}") from error
        return answer.text

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
