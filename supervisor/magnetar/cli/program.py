"""The whole command line: its options before a command, its errors and exit codes."""

import io
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from magnetar.cli.connection import Connection
from magnetar.cli.errors import UsageError
from magnetar.cli.lazy import LazyGroup, group
from magnetar.cli.output import Output
from magnetar.cli.tree import ROOT
from magnetar.errors import RefusedByWorkerError, RequestError, StartError, UnreachableError

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
_INTERRUPTED = 130


def run(arguments: list[str]) -> int:
    """Run a command; returns the exit code. What it prints goes out line by line: a reader of a pipe may wait for it."""
    # gRPC's core tells of every closed connection on standard error unless it is told not to before it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        code: int | None = root().main(args=arguments, prog_name="magnetar", standalone_mode=False)
    except TyperException as error:
        return _misused(error)
    except (UsageError, UnreachableError, RefusedByWorkerError, RequestError, StartError) as error:
        return _tell(error)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        return _no_file(error)
    return code or 0


def root() -> LazyGroup:
    """Return the whole command line; only what is called is imported."""
    return group("magnetar", ROOT, _before)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the value
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        sys.stdout.write(f"magnetar {version('magnetar')}\n")
        raise typer.Exit


def _before(
    connection: Connection,
    output: Output,
    *,
    version: Annotated[
        bool, typer.Option("--version", "-v", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _misused(error: TyperException) -> int:
    """Tell in one line how a command was misused; a group without a command shows its help."""
    message = error.format_message().replace("Value error, ", "")
    if "\n" in message:
        sys.stderr.write(message + "\n")
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "magnetar"
    sys.stderr.write(f"{path}: {message} (see {path} --help)\n")
    return USAGE


def _no_file(error: OSError) -> int:
    """Tell what of this host failed: a file, a directory, a full disk."""
    where = f"{error.filename}: " if error.filename else ""
    sys.stderr.write(f"magnetar: {where}{error.strerror or error}\n")
    return REFUSED


def _reader_left() -> int:
    """Leave in silence when whoever read our output is gone; nothing is flushed to them at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return REFUSED


def _tell(error: Exception) -> int:
    remedy = " with --admin-url" if isinstance(error, UnreachableError) else ""
    sys.stderr.write("".join(f"magnetar: {line}{remedy}\n" for line in str(error).splitlines()))
    if isinstance(error, UsageError):
        return USAGE
    return UNREACHABLE if isinstance(error, UnreachableError) else REFUSED
