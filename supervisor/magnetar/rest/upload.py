"""Multipart forms as Pulsar's clients send them: a file goes to disk block by block, small fields to memory.

Lenient where real clients need it: Go's ends `Content-Disposition` with a space and may leave out content types.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import anyio
import anyio.to_thread
from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.exceptions import HTTPException

from magnetar.errors import RefusedError, RequestError, TimedOutError
from magnetar.functions.submission import Upload

_FIELD_LIMIT = 4 * 2**20
_BLOCK = 2**20
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')


class TooLargeError(RequestError):
    """Raised when an upload is larger than the worker takes."""

    status = 413


@dataclass(frozen=True)
class Pace:
    """The least that an upload brings while the worker waits for it, unless it ends before: `size` bytes in `seconds`."""

    seconds: float = 60.0
    size: int = 64 * 2**10


@dataclass
class Form:
    """A form that was received whole: fields by name, and at most one file, which is gone once the form is left."""

    fields: dict[str, bytes] = field(default_factory=dict)
    upload: Upload | None = None

    def text(self, name: str) -> str | None:
        """Return a field as text; None when it is missing or empty. Raises RefusedError."""
        try:
            return self.fields.get(name, b"").decode().strip() or None
        except UnicodeDecodeError:
            raise RefusedError(f"the field {name!r} is not text in UTF-8") from None


@asynccontextmanager
async def receive_form(
    request: Request, *, file: str | None, incoming: Callable[[], Path], limit: int
) -> AsyncIterator[Form]:
    """Receive a form whose part `file` goes to a path of `incoming`, and at most `limit` bytes of it.

    Raises RefusedError for what is no whole form, TooLargeError, TimedOutError; nothing is left behind.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    target = await anyio.to_thread.run_sync(incoming)
    try:
        yield await _receive(request, boundary, _Parts(file, target, limit))
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: target.unlink(missing_ok=True))


def is_form(request: Request) -> bool:
    """Whether a request's body is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def blocks(request: Request, pace: Pace = Pace()) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes. Raises TimedOutError when it comes too slowly, or no more."""
    stream = aiter(request.stream())
    came, left = 0, pace.seconds
    while True:
        began = anyio.current_time()
        try:
            # The timer `upload`.
            with anyio.fail_after(left):
                block = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TimedOutError(
                f"{came} bytes of the upload came in {pace.seconds:g} s, and {pace.size} are the least: send it again"
            ) from None
        came, left = came + len(block), left - (anyio.current_time() - began)
        if came >= pace.size:
            came, left = 0, pace.seconds
        yield block


def _boundary(content_type: str) -> bytes:
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise HTTPException(415, f"the body is {kind.strip() or 'of no type'}: send multipart/form-data")
    boundary = _parameters(f";{rest}").get("boundary", "").strip()
    if not boundary:
        raise RefusedError("the Content-Type has no boundary: let the HTTP client make the form")
    return boundary.encode("latin-1", "replace")


def _parameters(text: str) -> Mapping[str, str]:
    found = {}
    for name, quoted, bare in _PARAMETER.findall(text):
        found[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare.strip()
    return found


async def _receive(request: Request, boundary: bytes, parts: "_Parts") -> Form:
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        async for block in blocks(request):
            parser.write(block)
            if len(parts.waiting) >= _BLOCK:
                await anyio.to_thread.run_sync(parts.flush)
        parser.finalize()
    except MultipartParseError as error:
        raise RefusedError(f"the form can't be read: {error}") from None
    finally:
        await anyio.to_thread.run_sync(parts.close)
    if not parts.ended:
        raise RefusedError("the form ends in the middle: the upload was cut short; send it again")
    return parts.form


class _Parts:
    """Takes a form apart as the parser finds its parts."""

    def __init__(self, file: str | None, target: Path, limit: int) -> None:
        self.form = Form()
        self.waiting = bytearray()
        self.ended = False
        self._file = file
        self._target = target
        self._limit = limit
        self._received = 0
        self._opened: BinaryIO | None = None
        self._headers: dict[str, str] = {}
        self._header = [bytearray(), bytearray()]
        self._name: str | None = None

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
            "on_end": self._end,
        }

    def flush(self) -> None:
        """Write what waits; blocking."""
        if self._opened:
            self._opened.write(self.waiting)
            self.waiting.clear()

    def close(self) -> None:
        """Write the rest and close; blocking."""
        self.flush()
        if self._opened:
            self._opened.close()
            self._opened = None

    def _begin(self) -> None:
        self._headers = {}
        self._name = None

    def _header_end(self) -> None:
        name, value = (bytes(part).decode("utf-8", "replace") for part in self._header)
        self._headers[name.strip().lower()] = value
        self._header = [bytearray(), bytearray()]

    def _headers_end(self) -> None:
        parameters = _parameters(self._headers.get("content-disposition", ""))
        self._name = parameters.get("name", "")
        if self._name in self.form.fields or (self._name == self._file and self.form.upload):
            raise RefusedError(f"the form has the part {self._name!r} twice: send it once")
        if self._name == self._file:
            self.form.upload = Upload(self._target, _file_name(parameters))
            self._opened = self._target.open("wb")
        else:
            self.form.fields[self._name] = b""

    def _data(self, data: bytes) -> None:
        name = self._name or ""
        if name == self._file:
            self._received += len(data)
            if self._received > self._limit:
                raise TooLargeError(
                    f"the upload has more than {self._limit} bytes: magnetar.maxUploadBytes is the limit"
                )
            self.waiting += data
            return
        self.form.fields[name] += data
        if len(self.form.fields[name]) > _FIELD_LIMIT:
            raise TooLargeError(f"the field {name!r} has more than {_FIELD_LIMIT} bytes")

    def _end(self) -> None:
        self.ended = True


def _file_name(parameters: Mapping[str, str]) -> str:
    extended = parameters.get("filename*", "")
    if extended.lower().startswith("utf-8''"):
        return unquote(extended[len("utf-8''") :])
    return parameters.get("filename", "")
