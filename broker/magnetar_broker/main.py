"""`magnetar broker`: a small Pulsar on one host, in the foreground until it is asked to end."""

import argparse
import asyncio
import json
import logging
import os
import resource
import signal
import ssl
import sys
from functools import partial
from pathlib import Path

from magnetar_broker.auth.authenticator import Authenticator
from magnetar_broker.auth.options import Security, add_options, security_of, tls_context_of
from magnetar_broker.auth.rights import Rights
from magnetar_broker.broker import Broker
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.errors import StartError
from magnetar_broker.http.server import HttpServer, Serving
from magnetar_broker.loopback import is_loopback
from magnetar_broker.policies import BacklogQuota
from magnetar_broker.settings import BrokerSettings

_MIB = 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run a broker; returns the exit code: 0 when it was asked to end, 1 when it could not start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        asyncio.run(_run(options))
    except StartError as error:
        sys.stderr.write(f"magnetar broker: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="magnetar broker", description="A small Pulsar on one host.")
    parser.add_argument("--data-dir", type=Path, default=Path("magnetar-broker"), help="where everything is kept")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=6650, help="of the binary protocol; 0: any free one")
    parser.add_argument("--admin-port", type=int, default=0, help="of the admin API; 0: any free one")
    parser.add_argument("--advertised-url", help="the pulsar:// address that clients are told, behind port mapping")
    parser.add_argument("--advertised-host", help="the host that clients are told, with the port that is listened on")
    parser.add_argument("--backlog-limit", type=int, metavar="MIB", help="of each topic whose namespace sets none")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="of the line that tells the addresses"
    )
    parser.add_argument(
        "--end-with-input",
        action="store_true",
        help="end when standard input does: with the program that holds it open",
    )
    add_options(parser)
    return parser


async def _run(options: argparse.Namespace) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if options.end_with_input:
        loop.add_reader(sys.stdin.fileno(), _read_input, loop, asked)
    security = security_of(options)
    tls = tls_context_of(security)
    _demand_guarded(options, security.authenticator)
    _raise_open_files()
    async with Broker(options.data_dir, _settings(options)) as broker:
        await _serve(options, broker, security, tls, asked)


def _read_input(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    """Take what comes on standard input, which nobody wants; at its end, end."""
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        asked.set()


async def _serve(
    options: argparse.Namespace,
    broker: Broker,
    security: Security,
    tls: ssl.SSLContext | None,
    asked: asyncio.Event,
) -> None:
    addresses: dict[str, str] = {}
    authenticator, rights = security.authenticator, Rights(broker.tenancy, security.super_users)
    service = PulsarService(
        broker,
        advertised_url=options.advertised_url,
        advertised_host=options.advertised_host,
        authenticator=authenticator,
        rights=rights,
        tls=tls,
    )
    admin = HttpServer(partial(_admin, broker, authenticator, rights, addresses), tls=tls)
    try:
        host = options.advertised_host or options.host
        host = f"[{host}]" if ":" in host else host
        port = await service.listen(options.host, options.port)
        admin_port = await admin.listen(options.host, options.admin_port)
        addresses["broker"] = options.advertised_url or f"{'pulsar+ssl' if tls else 'pulsar'}://{host}:{port}"
        addresses["admin"] = f"{'https' if tls else 'http'}://{host}:{admin_port}"
        _tell_ready(addresses, options.format)
        await asked.wait()
    finally:
        await admin.close()
        await service.close()


def _admin(
    broker: Broker,
    authenticator: Authenticator,
    rights: Rights,
    addresses: dict[str, str],
    loopback: bool,  # noqa: FBT001
) -> Serving:
    from magnetar_broker.admin.app import admin_routes  # noqa: PLC0415 - not before somebody asks
    from magnetar_broker.admin.rights import Judge  # noqa: PLC0415
    from magnetar_broker.http.serving import HttpServing  # noqa: PLC0415

    routes = admin_routes(broker, addresses)
    judge = Judge(rights).judge if rights.enabled else None
    return HttpServing(
        routes, loopback=loopback, settle=broker.journal.settled, authenticator=authenticator, judge=judge
    )


def _settings(options: argparse.Namespace) -> BrokerSettings:
    limit = options.backlog_limit
    if limit is not None and limit <= 0:
        raise StartError(f"--backlog-limit {limit}: give a number of MiB above 0")
    return BrokerSettings(backlog_quota=BacklogQuota(limit * _MIB) if limit else BacklogQuota())


def _demand_guarded(options: argparse.Namespace, authenticator: Authenticator) -> None:
    if not is_loopback(options.host) and not authenticator.enabled and not options.insecure:
        raise StartError(
            f"--host {options.host} can be reached by others: ask for tokens (--token-secret-key, --token-public-key) "
            "or certificates (--tls-client-ca), or say --insecure"
        )


def _raise_open_files() -> None:
    """Let as many clients connect as the system allows this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _tell_ready(addresses: dict[str, str], form: str) -> None:
    if form == "json":
        line = json.dumps({**addresses, "pid": os.getpid()})
    else:
        line = f"The broker is ready: {addresses['broker']} (admin API: {addresses['admin']}, pid {os.getpid()})"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
