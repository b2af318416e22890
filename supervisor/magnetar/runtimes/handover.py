"""What an instance shows the broker: its creator's token, what the worker was told to give it, or a token of its own.

A creator's token is kept in the function's metadata as Pulsar's ClearTextFunctionTokenAuthProvider keeps it. An instance
that is a process finds it in a file that only its user can read: a command line is for everyone on the host to see.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import psutil
from magnetar_instance.proto.function import FunctionAuthenticationSpec

from magnetar.credentials import CLEAR_TEXT_TOKEN
from magnetar.host_users import Account
from magnetar.runtimes.process.settings import Credentials

TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"  # noqa: S105 - a name
TOKEN_SUFFIX = ".token"  # noqa: S105 - of a name
_TOKEN_PLUGINS = (TOKEN_PLUGIN, "token")
_DOTS = 2


def keep_token(token: str) -> FunctionAuthenticationSpec:
    """Return what a function's metadata hold of its creator's token; Pulsar's workers read it, too."""
    return FunctionAuthenticationSpec(data=token.encode(), provider=CLEAR_TEXT_TOKEN)


def kept_token(auth: FunctionAuthenticationSpec | None) -> str | None:
    """Return the token that a function's metadata hold, None where they hold none or something else."""
    if auth is None or auth.provider not in {"", CLEAR_TEXT_TOKEN}:
        return None
    text: str = auth.data.decode(errors="replace")
    return text if text.count(".") == _DOTS else None  # Pulsar's 2.8 does not say whether it is one


def credentials_of(given: Credentials | None, auth: FunctionAuthenticationSpec | None, fqfn: str) -> Credentials | None:
    """Return what one function's instances show the broker, by what the worker gives to all."""
    if given is None:
        return None
    token = kept_token(auth) if given.callers else None
    if token is None and given.sign is not None and not given.plugin:
        token = given.sign(fqfn)
    return given if token is None else replace(given, plugin=TOKEN_PLUGIN, parameters=f"token:{token}")


def in_file(credentials: Credentials | None, file: Path, account: Account | None = None) -> Credentials | None:
    """Return the same credentials with a token in a file of its own, written for its user alone. Raises OSError."""
    if credentials is None or credentials.plugin not in _TOKEN_PLUGINS or not credentials.parameters:
        return credentials
    kind, colon, token = credentials.parameters.partition(":")
    if colon and kind == "file":
        return credentials
    if not colon:
        token = credentials.parameters
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as opened:  # noqa: PTH123 - the descriptor has its mode from the beginning
        opened.write(token)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
    return replace(credentials, parameters=file.absolute().as_uri())


def remove_tokens_of_the_dead(records: Path) -> None:
    """Remove the tokens that a killed worker left, but those of processes that outlived it: they read them again."""
    for token in records.glob(f"*{TOKEN_SUFFIX}"):
        if not _lives(token.with_suffix(".json")):
            token.unlink(missing_ok=True)


def _lives(record: Path) -> bool:
    try:
        return psutil.pid_exists(int(json.loads(record.read_text())["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
