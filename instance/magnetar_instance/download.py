"""Downloads a function's package from a worker: what a pod does first, with the command line of `pulsar-admin`.

download --admin-url URL [--auth-plugin CLASS --auth-params TEXT] [--tls-…] functions download
--tenant T --namespace N --name F --destination-file FILE
"""

import argparse
import contextlib
import os
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

_PATIENCE = (1.0, 2.0, 4.0, 8.0)
"""Seconds between tries while the worker does not answer; then the container ends and is started again."""
_TIMEOUT = 60.0
_SERVER_ERROR = 500
_TOKEN_PLUGIN = "AuthenticationToken"  # noqa: S105 - the end of a class name


class DownloadError(Exception):
    """Raised when the package can't be had; the message is one line."""


def download(options: argparse.Namespace) -> None:
    """Fetch the package and put it in its place, whole or not at all. Raises DownloadError."""
    target = Path(options.destination_file)
    target.parent.mkdir(parents=True, exist_ok=True)
    for pause in (*_PATIENCE, None):
        try:
            _fetch(options, target)
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read(500).decode(errors='replace').strip() or error.reason}"
            if error.code < _SERVER_ERROR:
                raise DownloadError(f"{_url(options)} answers {problem}") from None
        except (OSError, HTTPException) as error:
            problem = str(getattr(error, "reason", error))
        else:
            return
        if pause is None:
            raise DownloadError(f"{_url(options)} could not be had: {problem}")
        print(f"{_url(options)}: {problem}; trying again in {pause:g} s", file=sys.stderr, flush=True)  # noqa: T201
        time.sleep(pause)


def _fetch(options: argparse.Namespace, target: Path) -> None:
    request = urllib.request.Request(_url(options), headers=_headers(options))  # noqa: S310 - the worker's own address
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        opened = urllib.request.urlopen(request, timeout=_TIMEOUT, context=_tls(options))  # noqa: S310
        with opened as answer, partial.open("wb") as file:
            shutil.copyfileobj(answer, file)
        partial.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _url(options: argparse.Namespace) -> str:
    name = "/".join(quote(part, safe="") for part in (options.tenant, options.namespace, options.name))
    return f"{options.admin_url.rstrip('/')}/admin/v3/functions/{name}/download"


def _headers(options: argparse.Namespace) -> dict[str, str]:
    if not options.auth_plugin:
        return {}
    if not options.auth_plugin.endswith(_TOKEN_PLUGIN):
        raise DownloadError(f"--auth-plugin {options.auth_plugin} is not known here: only tokens are")
    kind, _, rest = (options.auth_params or "").partition(":")
    try:
        token = Path(rest.removeprefix("//")).read_text(encoding="utf-8") if kind == "file" else rest or kind
    except OSError as error:
        raise DownloadError(f"--auth-params {options.auth_params}: {error.strerror}") from None
    return {"Authorization": f"Bearer {token.strip()}"}


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not options.admin_url.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=options.tls_trust_cert_path)
    context.check_hostname = options.tls_enable_hostname_verification and not options.tls_allow_insecure
    if options.tls_allow_insecure:
        context.verify_mode = ssl.CERT_NONE
    return context


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line; options of `pulsar-admin` stand before the verbs, the function's behind them."""
    parser = argparse.ArgumentParser(prog="pulsar-admin", description="Downloads the package of a Pulsar function.")
    parser.add_argument("--admin-url", required=True)
    parser.add_argument("--auth-plugin")
    parser.add_argument("--auth-params")
    parser.add_argument("--tls-allow-insecure", action="store_true")
    parser.add_argument("--tls-enable-hostname-verification", action="store_true")
    parser.add_argument("--tls-trust-cert-path")
    noun = parser.add_subparsers(required=True, metavar="functions").add_parser("functions")
    verb = noun.add_subparsers(required=True, metavar="download").add_parser("download")
    for name in ("tenant", "namespace", "name", "destination-file"):
        verb.add_argument(f"--{name}", required=True)
    return parser.parse_args(list(arguments))


def main() -> NoReturn:
    """Download with the command line; exit code 1 and one line when that is not possible."""
    try:
        download(parse(sys.argv[1:]))
    except DownloadError as error:
        sys.exit(f"the package could not be downloaded: {error}")
    sys.exit(0)


if __name__ == "__main__":
    main()
