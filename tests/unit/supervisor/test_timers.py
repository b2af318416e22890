"""Every timer of the worker has a name and a row in the manual."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import magnetar

ROOM = Path(magnetar.__file__).parent
MANUAL = Path(__file__).parents[3] / "docs/supervision.md"
WAITS = {"sleep", "sleep_until", "move_on_after", "move_on_at", "fail_after"}
NAMED = re.compile(r"# The timer `([^`]+)`\.")


def sources() -> Iterator[Path]:
    """The worker's modules; a command that waits in somebody's terminal is no part of it."""
    return (path for path in ROOM.rglob("*.py") if "cli" not in path.parts)


def repeated_waits(path: Path) -> set[int]:
    """Return the lines at which something waits for a time again and again."""
    loops = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.While))
    calls = (node for loop in loops for node in ast.walk(loop) if isinstance(node, ast.Call))
    return {call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in WAITS}


def test_whatever_waits_again_and_again_is_named() -> None:
    """A loop that sleeps, or waits with a time limit, says which timer it is in the line before."""
    nameless = [
        f"{path.relative_to(ROOM)}:{line}"
        for path in sources()
        for line in repeated_waits(path)
        if not NAMED.search(path.read_text().splitlines()[line - 2])
    ]
    assert nameless == []


def test_the_manual_lists_the_timers_that_there_are() -> None:
    """The rows of its table are the names in the code."""
    in_code = {name for path in sources() for name in NAMED.findall(path.read_text())}
    table = MANUAL.read_text().partition("\n## Timers\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    assert set(rows[2:]) == in_code
