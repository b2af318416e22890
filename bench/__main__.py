"""Runs benchmarks by name and writes their figures as a table and, when asked, as JSON."""

import argparse
import importlib
import json
import sys
from pathlib import Path

from bench.report import machine, show

NAMES = tuple(
    sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in {"report", "processes"} | {"__init__", "__main__"}
    )
)


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options, rest = parser.parse_known_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    results = {}
    for name in options.names or NAMES:
        measured = importlib.import_module(f"bench.{name}").measure(rest)
        results[name] = [each.to_json() for each in measured]
        show(name, measured)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
