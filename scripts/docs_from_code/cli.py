"""docs/cli.md: every command with its options."""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer
from magnetar.cli.connection import Connection
from magnetar.cli.lazy import load
from magnetar.cli.output import Output
from magnetar.cli.program import root
from magnetar.cli.tree import ROOT, Branch

_HEAD = Path(__file__).with_suffix(".md")


def command_line() -> Iterator[str]:
    """Yield the lines of docs/cli.md."""
    os.environ["COLUMNS"] = "120"
    yield from (*_HEAD.read_text().splitlines(), "")
    context = root().make_context("magnetar", [], resilient_parsing=True)
    shared = {field.name for kind in (Connection, Output) for field in fields(kind)}
    yield from _options([each for each in root().params if each.name in shared], context)
    for name, child in ROOT.children.items():
        if not child.hidden:
            yield from _command(name, child, f"magnetar {name}", "##", shared, context)


def short_help() -> str:
    """Return what `magnetar --help` prints, in 80 columns."""
    context = root().make_context("magnetar", [], resilient_parsing=True, terminal_width=80)
    return root().get_help(context) + "\n"


def _command(name: str, child: Any, path: str, mark: str, shared: set[str], context: Any) -> Iterator[str]:
    yield from ("", f"{mark} {path}", "")
    if isinstance(child, Branch):
        yield child.help
        for below, grandchild in child.children.items():
            if not grandchild.hidden:
                yield from _command(below, grandchild, f"{path} {below}", f"{mark}#", shared, context)
        return
    command = load(name, child)
    yield from (command.help or "").splitlines()
    if path == "magnetar broker":
        yield from _own_help(command, path)
        return
    own = [each for each in command.params if each.name not in shared and each.name != "help"]
    if own:
        yield ""
        yield from _options(own, context)


def _options(params: list[Any], context: Any) -> Iterator[str]:
    yield from ("| option | meaning |", "| --- | --- |")
    for param in params:
        names, about = param.get_help_record(context) or (param.human_readable_name, getattr(param, "help", ""))
        cells = (f"`{names}`", about)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _own_help(command: Any, path: str) -> Iterator[str]:
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit, typer.Exit):
        command.main(["--help"], prog_name=path, standalone_mode=False)
    yield from ("", "```text", *printed.getvalue().strip().splitlines(), "```")
