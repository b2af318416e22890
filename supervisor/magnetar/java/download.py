"""Downloads of locked artefacts: several at once, each resumed where an earlier one broke off, each verified."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from magnetar.errors import BrokenDownloadError
from magnetar.java.lock import Artefact

CENTRAL = "https://repo.maven.apache.org/maven2"
Progress = Callable[[int], None]
"""Called with the number of bytes that are there since the last call; negative where a broken file was given up."""
_AT_ONCE = 4
_TRIES = 3
_CHUNK = 1 << 20
_TIMEOUT = 30.0


async def download(artefacts: Sequence[Artefact], folder: Path, repository: str, progress: Progress) -> None:
    """Bring all artefacts into a folder; what is there and whole is kept.

    Raises BrokenDownloadError, which names the file; what was downloaded so far is resumed next time.
    """
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True) as client:

        async def one(artefact: Artefact) -> None:
            async with limiter:
                problem = await _bring(client, artefact, folder, f"{repository.rstrip('/')}/{artefact.path}", progress)
            if problem is not None:
                problems.append(problem)
                tasks.cancel_scope.cancel()

        problems: list[BrokenDownloadError] = []
        async with anyio.create_task_group() as tasks:
            for artefact in artefacts:
                tasks.start_soon(one, artefact, name=f"download {artefact.file_name}")
    if problems:
        raise problems[0]


async def _bring(
    client: httpx.AsyncClient, artefact: Artefact, folder: Path, url: str, progress: Progress
) -> BrokenDownloadError | None:
    """Bring one file; returns what kept it from coming."""
    target = folder / artefact.file_name
    if await is_whole(target, artefact):
        progress(artefact.size)
        return None
    reason = ""
    part = target.with_suffix(".part")
    for _ in range(_TRIES):
        try:
            await _fetch(client, url, part, artefact.size, progress)
        except (httpx.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            continue
        if await is_whole(part, artefact):
            await anyio.Path(part).rename(target)
            return None
        reason = "its checksum is not that of the lock file"
        progress(-_give_up(part))
    return BrokenDownloadError(f"{url} could not be downloaded: {reason}; run the command again to go on")


async def _fetch(client: httpx.AsyncClient, url: str, part: Path, size: int, progress: Progress) -> None:
    """Append to a file what is missing of it; a repository that can't resume sends the whole."""
    have = size_of(part)
    if have >= size:
        _give_up(part)
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    async with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        progress(have if resumed else 0)
        async with await anyio.open_file(part, "ab" if resumed else "wb") as file:
            async for chunk in answer.aiter_bytes(_CHUNK):
                await file.write(chunk)
                progress(len(chunk))


async def is_whole(path: Path, artefact: Artefact) -> bool:
    """Return whether a file has the size and the checksum of the lock file."""
    if size_of(path) != artefact.size:
        return False
    return await anyio.to_thread.run_sync(sha256_of, path) == artefact.sha256


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 when there is none."""
    return path.stat().st_size if path.is_file() else 0


def _give_up(part: Path) -> int:
    size = size_of(part)
    part.unlink(missing_ok=True)
    return size


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
