"""`magnetar demo`: what `magnetar init` writes, run in both runtimes on real messages."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.init import template
from magnetar.cli.output import Format, Output

if TYPE_CHECKING:
    from magnetar.client import WorkerClient
    from magnetar.model.names import FunctionName
    from magnetar.server import Server

LINES = ("hello", "the quick brown fox", "magnetars are neutron stars")
_PATIENCE = 60.0


@dataclass(frozen=True)
class Shown:
    """One function of the demonstration and the runtime that it is shown in."""

    name: str
    class_name: str | None
    runtime: str

    def write(self, folder: Path) -> Path:
        """Write its files and return its config."""
        directory = folder / self.name
        directory.mkdir()
        for each, text in template(self.name, self.name, self.class_name).items():
            (directory / each).write_text(text, encoding="utf-8")
        config = directory / "function.yml"
        options = json.dumps(json.dumps({"magnetar": {"runtime": self.runtime}}))
        config.write_text(f"{config.read_text(encoding='utf-8')}customRuntimeOptions: {options}\n", encoding="utf-8")
        return config


SHOWN = (Shown("exclaim", None, "thread"), Shown("greet", "Greet", "process"))
_TABLE = Output(Format.TABLE)


def demo(
    *,
    once: Annotated[bool, Option("--once", help="Stop after the results.")] = False,
    http_port: Annotated[int, Option(help="Of the admin REST API; 0 is any.")] = 0,
) -> None:
    """Show the main job: start a worker and a broker, deploy two functions, send messages in and print what comes out.

    It needs nothing and leaves nothing; it serves until Ctrl-C, so that you can try commands on it.
    """
    from magnetar.cli.own_worker import with_own_worker  # noqa: PLC0415 - keeps help quick

    began = time.monotonic()

    async def work(server: "Server", client: "WorkerClient") -> None:
        _say(f"A worker and a broker are ready after {time.monotonic() - began:.1f} s.")
        with tempfile.TemporaryDirectory(prefix="magnetar-demo-") as folder:
            await _show(client, Path(folder))
            if not once:
                await _serve(server)

    with_own_worker(work, http_port=http_port)


async def _show(client: "WorkerClient", folder: Path) -> None:
    for each in SHOWN:
        rows = await _in_and_out(client, each, each.write(folder))
        _say("")
        _TABLE.table(("input", "output", "ms"), rows, "")
    found = await client.magnetar.instances()
    columns = ("function", "instance", "runtime", "phase", "pid", "restarts")
    _say("")
    _TABLE.table(columns, [(i.fqfn, i.instance_id, i.runtime, i.phase, i.pid, i.restarts) for i in found], "")


async def _in_and_out(client: "WorkerClient", shown: Shown, config: Path) -> Sequence[Sequence[object]]:
    """Deploy a function, send the lines, and return them beside its output and how long each took."""
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick
    from magnetar.cli.functions.options import FunctionOptions  # noqa: PLC0415
    from magnetar.cli.functions.waiting import until_running  # noqa: PLC0415

    given = read_given(FunctionOptions(function_config_file=config))
    began = time.monotonic()
    await client.functions.create(given.values, file=given.file)
    await until_running(client, given.name, None, _PATIENCE, lambda _text: None)
    _say(f"\n{shown.name}: runs in a {shown.runtime}, {(time.monotonic() - began) * 1000:.0f} ms after its create:")
    _say("".join(f"    {line}\n" for line in _code(config, shown)).rstrip())
    return [await _through(client, given.name, line) for line in LINES]


def _code(config: Path, shown: Shown) -> Sequence[str]:
    """Return a function's code without what explains it."""
    lines = (config.parent / f"{shown.name}.py").read_text(encoding="utf-8").splitlines()
    return [each for each in lines if each.strip() and not each.startswith('"""')]


async def _through(client: "WorkerClient", name: "FunctionName", line: str) -> Sequence[object]:
    began = time.monotonic()
    output = await client.functions.trigger(name, value=line)
    return line, output, round((time.monotonic() - began) * 1000)


async def _serve(server: "Server") -> None:
    import anyio  # noqa: PLC0415 - keeps help quick

    where = server.addresses
    _say(f"\nServing until Ctrl-C: {where.http} (broker {where.broker}). Try, in another terminal:")
    for line in ("functions list", "functions trigger greet --trigger-value you", "functions logs greet", "top"):
        _say(f"    magnetar --admin-url {where.http} {line}")
    await anyio.sleep_forever()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
