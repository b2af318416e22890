"""Reading multipart forms as they come: a file goes to disk, whatever its size, and small fields to memory."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

from magnetar_broker.errors import InvalidError

_FIELD_LIMIT = 1024 * 1024
_HEAD_LIMIT = 16 * 1024


async def read_form(content_type: str, body: AsyncIterator[bytes], file_name: str, target: Path) -> dict[str, bytes]:
    """Write the part named `file_name` to `target` and return the others. Raises InvalidError for a form cut short."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if not match:
        raise InvalidError("the body must be multipart/form-data with a boundary")
    reader = _Parts(b"--" + match[1].encode("latin-1"), body)
    fields: dict[str, bytes] = {}
    await reader.skip_to_first()
    while (head := await reader.head()) is not None:
        name = re.search(rb'name="?([^";\r\n]*)', head)
        key = name[1].decode("utf-8", "replace") if name else ""
        if key == file_name:
            with target.open("wb") as file:
                async for part in reader.content():
                    file.write(part)
            fields[key] = b""
        else:
            fields[key] = await _small(reader, key)
    return fields


async def _small(reader: "_Parts", key: str) -> bytes:
    gathered = b""
    async for part in reader.content():
        gathered += part
        if len(gathered) > _FIELD_LIMIT:
            raise InvalidError(f"the field {key!r} has more than {_FIELD_LIMIT} bytes")
    return gathered


class _Parts:
    def __init__(self, boundary: bytes, body: AsyncIterator[bytes]) -> None:
        self._boundary = boundary
        self._body = body
        self._buffer = b""

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._body)
        except StopAsyncIteration:
            raise InvalidError("the form ends in the middle: the upload was cut short; send it again") from None

    async def skip_to_first(self) -> None:
        while self._boundary not in self._buffer:
            await self._more()
        self._buffer = self._buffer[self._buffer.index(self._boundary) + len(self._boundary) :]

    async def head(self) -> bytes | None:
        """Return a part's headers; None after the last part."""
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            return None
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _HEAD_LIMIT:
                raise InvalidError("a part of the form has no end of its headers")
            await self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def content(self) -> AsyncIterator[bytes]:
        """Yield a part's content up to the next boundary."""
        end = b"\r\n" + self._boundary
        while end not in self._buffer:
            whole = len(self._buffer) - len(end)
            if whole > 0:
                ready, self._buffer = self._buffer[:whole], self._buffer[whole:]
                yield ready
            await self._more()
        ready, _, self._buffer = self._buffer.partition(end)
        yield ready
