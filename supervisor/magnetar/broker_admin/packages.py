"""The broker's package store; packages are given as `function://tenant/namespace/name@version`."""

import json
from dataclasses import asdict
from pathlib import Path

import anyio

from magnetar.broker_admin.answers import PackageMetadata
from magnetar.broker_admin.calls import BrokerCalls, checked
from magnetar.broker_admin.paths import package_path


class Packages(BrokerCalls):
    """User code, kept by the broker; files are streamed, whatever their size."""

    async def upload_package(self, url: str, file: Path, metadata: PackageMetadata | None = None) -> None:
        """Store a file as a package version; a version that is there is refused (409)."""
        described = json.dumps(asdict(metadata or PackageMetadata()))
        with await anyio.to_thread.run_sync(file.open, "rb") as content:
            parts = {
                "metadata": (None, described, "application/json"),
                "file": (file.name, content, "application/octet-stream"),
            }
            await self._call("POST", package_path(url), files=parts)

    async def download_package(self, url: str, target: Path) -> None:
        """Write a package version to a file, which is whole when this returns and may be cut short when it raises."""
        async with self._calls.download(package_path(url)) as response:
            if not response.is_success:
                await response.aread()
            checked(response)
            async with await anyio.open_file(target, "wb") as file:
                async for chunk in response.aiter_bytes():
                    await file.write(chunk)

    async def delete_package(self, url: str) -> None:
        """Delete a package version."""
        await self._call("DELETE", package_path(url))

    async def package_versions(self, url: str) -> list[str]:
        """List the versions of a package, given without one."""
        return await self._names(package_path(url))
