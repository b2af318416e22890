"""Writes the files that are made of the code, or tells which of them are stale."""

import sys
from pathlib import Path

from docs_from_code.cli import command_line, short_help
from docs_from_code.configuration import configuration
from docs_from_code.shipped_file import functions_worker

HOME = Path(__file__).parents[2]


def main() -> int:
    """Write or check; returns the exit code."""
    made = {
        "conf/functions_worker.yml": "\n".join(functions_worker()) + "\n",
        "docs/configuration.md": "\n".join(configuration()) + "\n",
        "supervisor/magnetar/cli/help.txt": short_help(),
        "docs/cli.md": "\n".join(command_line()) + "\n",
    }
    stale = [name for name, text in made.items() if _read(HOME / name) != text]
    if "--check" in sys.argv:
        print("\n".join(f"{name} is stale: run scripts/docs" for name in stale) or "All are current.")
        return 1 if stale else 0
    for name in stale:
        (HOME / name).parent.mkdir(exist_ok=True)
        (HOME / name).write_text(made[name])
        print(f"wrote {name}")
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
