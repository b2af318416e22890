"""`magnetar broker`: a small Pulsar on one host, in the foreground until it is asked to end."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from magnetar_broker.admin.app import admin_routes
from magnetar_broker.broker import Broker
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.errors import StartError
from magnetar_broker.http.server import HttpServer


def main(arguments: list[str] | None = None) -> int:
    """Run a broker; returns the exit code: 0 when it was asked to end, 1 when it could not start."""
    options = _parser().parse_args(arguments)
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
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="of the line that tells the addresses"
    )
    return parser


async def _run(options: argparse.Namespace) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    addresses: dict[str, str] = {}
    async with Broker(options.data_dir) as broker:
        service = PulsarService(broker, advertised_url=options.advertised_url)
        admin = HttpServer(admin_routes(broker, addresses))
        try:
            host = f"[{options.host}]" if ":" in options.host else options.host
            port = await service.listen(options.host, options.port)
            addresses["broker"] = options.advertised_url or f"pulsar://{host}:{port}"
            addresses["admin"] = f"http://{host}:{await admin.listen(options.host, options.admin_port)}"
            _tell_ready(addresses, options.format)
            await asked.wait()
        finally:
            await admin.close()
            await service.close()


def _tell_ready(addresses: dict[str, str], form: str) -> None:
    if form == "json":
        line = json.dumps({**addresses, "pid": os.getpid()})
    else:
        line = f"The broker is ready: {addresses['broker']} (admin API: {addresses['admin']}, pid {os.getpid()})"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
