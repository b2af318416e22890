"""The traditional hash of Unix passwords, which `htpasswd -d` writes: the system's own library makes it.

Only eight characters of a password count. It is read because Pulsar reads it.
"""

import ctypes
import re
import threading
from functools import cache

from magnetar_broker.errors import KeyFormatError

_HASH = re.compile(r"[./0-9A-Za-z]{13}")
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", "libc.dylib")
_LOCK = threading.Lock()
"""The library answers in one buffer for the whole process."""


def is_des(text: str) -> bool:
    """Whether a text has the form of such a hash."""
    return _HASH.fullmatch(text) is not None


def des(password: bytes, salt: str) -> str:
    """Return the hash of a password with a salt of two characters; empty for a password with a zero byte, which ends it.

    Raises KeyFormatError where the system makes none.
    """
    if b"\0" in password:
        return ""
    with _LOCK:
        made: bytes | None = _library().crypt(password, salt[:2].encode())
    text = (made or b"").decode("ascii", "replace")
    if not is_des(text):
        raise KeyFormatError("this system makes no hashes of `htpasswd -d`: write the password anew with `htpasswd -m`")
    return text


@cache
def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            found = ctypes.CDLL(name)
            found.crypt.restype = ctypes.c_char_p
        except (OSError, AttributeError):
            continue
        return found
    raise KeyFormatError("this system has no libcrypt for hashes of `htpasswd -d`: write them anew with `htpasswd -m`")
