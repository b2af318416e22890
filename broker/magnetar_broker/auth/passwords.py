"""Passwords in the forms that `htpasswd -m` and `-d` write: those that Pulsar's `AuthenticationProviderBasic` reads."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Self

from magnetar_broker.auth.des_crypt import des, is_des
from magnetar_broker.auth.keys import key_bytes
from magnetar_broker.errors import AuthenticationError, KeyFormatError

PASSWORDS = "basicAuthConf"
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS = 1000
_LONGEST = 1024
"""Bytes of a user and password: a hash of more would hold everyone else up."""
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))
_NOBODY = "$apr1$........$"
_UNKNOWN = "Unknown user or invalid password"


class Passwords:
    """Users and the hashes of their passwords."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Self:
        """Read what `basicAuthConf` names: a path, a `file:` or `data:` URL, or base64. Raises KeyFormatError."""
        given = str(properties.get(PASSWORDS) or "")
        if not given:
            raise KeyFormatError(f"{PASSWORDS} is missing: name the file that `htpasswd -m` wrote")
        try:
            text = key_bytes(given).decode()
        except (KeyFormatError, UnicodeDecodeError) as error:
            raise KeyFormatError(f"{PASSWORDS}: {error}") from None
        return cls(dict(_users(text)))

    def user_of(self, pair: str) -> str:
        """Return the user of `user:password` in base64. Raises AuthenticationError."""
        try:
            given = base64.b64decode(pair, validate=True)
        except (binascii.Error, ValueError):
            raise AuthenticationError("what stands behind `Basic` is not user:password in base64") from None
        return self.user(given)

    def user(self, given: bytes) -> str:
        """Return the user of `user:password`, as the binary protocol has it. Raises AuthenticationError."""
        if len(given) > _LONGEST:
            raise AuthenticationError(_UNKNOWN)
        user, colon, password = given.decode(errors="replace").partition(":")
        if not self._matches(self._hashes.get(user, _NOBODY), password.encode()) or not colon:
            raise AuthenticationError(_UNKNOWN)
        return user

    def _matches(self, known: str, password: bytes) -> bool:
        # The slow hash is made whoever asks, so that the time taken does not tell who is known.
        made = apr1(password, (_NOBODY if is_des(known) else known).split("$")[2])
        return hmac.compare_digest((des(password, known) if is_des(known) else made).encode(), known.encode())


def _users(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        user, colon, known = line.strip().partition(":")
        if not colon or not user:
            raise KeyFormatError(f"{PASSWORDS}, line {number}: not user:hash; write the file with `htpasswd -m`")
        if is_des(known):
            des(b"", known)  # where the system can't, this is told at the start
        elif known.count("$") != 3 or not known.startswith("$apr1$"):
            raise KeyFormatError(
                f"{PASSWORDS}, line {number}: the password of {user!r} is in a form that neither Pulsar reads nor we; "
                "write it anew with `htpasswd -m`"
            )
        yield user, known


def apr1(password: bytes, salt: str) -> str:
    """Return Apache's MD5 hash of a password, `$apr1$salt$hash`.

    The weak algorithm is the file format's: Pulsar reads no better one.
    """
    salted = salt.encode()
    digest = _start(password, salted)
    for turn in range(_ROUNDS):
        step = password if turn % 2 else digest
        step += salted if turn % 3 else b""
        step += password if turn % 7 else b""
        digest = _md5(step + (digest if turn % 2 else password))
    text = "".join(_in_base64(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER)
    return f"$apr1${salt}${text}{_in_base64(digest[11], 2)}"


def _start(password: bytes, salt: bytes) -> bytes:
    """Mix password and salt once, as the format has it: a bit of the password's length takes a byte of one of two."""
    twice = _md5(password + salt + password)
    mixed = password + b"$apr1$" + salt + (twice * (len(password) // 16 + 1))[: len(password)]
    length = len(password)
    while length:
        mixed += b"\0" if length & 1 else password[:1]
        length >>= 1
    return _md5(mixed)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _in_base64(value: int, digits: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 63] for place in range(digits))
