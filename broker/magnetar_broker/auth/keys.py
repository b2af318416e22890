"""Keys as Pulsar's settings name them: `data:` and `file:` URLs, paths, and base64; the bytes are raw or DER, never PEM."""

import base64
import binascii
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from magnetar_broker.errors import KeyFormatError


def key_bytes(text: str) -> bytes:
    """Return the bytes of a key. Raises KeyFormatError."""
    if text.startswith("data:"):
        return _data_url(text)
    if text.startswith("file:"):
        return _file(Path(unquote(urlsplit(text).path)))
    try:
        known = Path(text).is_file()
    except (OSError, ValueError):
        known = False
    return _file(Path(text)) if known else _base64(text)


def inlined(data: bytes) -> str:
    """Return bytes as a `data:` URL."""
    return f"data:;base64,{base64.b64encode(data).decode()}"


def _data_url(text: str) -> bytes:
    head, separator, data = text.partition(",")
    if not separator:
        raise KeyFormatError("a data: URL has a comma before its data, as in data:;base64,…")
    return _base64(data) if head.endswith(";base64") else unquote_to_bytes(data)


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFormatError(f"{path}: {error.strerror}; name a file that can be read") from error


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFormatError("the key is neither a data: or file: URL, nor an existing file, nor base64") from None
