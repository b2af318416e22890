"""`magnetar`: the entry point. What it imports itself is what asking for help costs."""

import sys
from pathlib import Path

HELP = Path(__file__).with_name("help.txt")
"""What `magnetar --help` prints, written by scripts/docs: to have it made costs four times as long."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done; 1: refused or failed, one line on standard error says why; 2: wrong usage; 3: the worker can't be reached.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given in (["--help"], ["-h"]):
        sys.stdout.write(HELP.read_text(encoding="utf-8"))
        return 0
    from magnetar.cli.program import run  # noqa: PLC0415 - not for help

    return run(given)
