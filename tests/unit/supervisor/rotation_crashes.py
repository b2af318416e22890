"""Dies at each call of a rotation in turn, recovers, and counts the lines: `rotation_crashes.py DIRECTORY reopen|in-place`.

A program of its own: it forks.
"""

import os
import sys
from pathlib import Path

from magnetar.log_files import rotation
from magnetar.log_files.reading import last_lines

_KEEP, _LINES = 9, 400


def die_at(number: int) -> None:
    """Leave this process as by SIGKILL before its so-manieth call of a function that is written in C."""
    calls = iter(range(number, -1, -1))

    def count(frame: object, event: str, _: object) -> None:
        if event == "c_call" and "log_files" in getattr(frame, "f_code").co_filename and not next(calls):  # noqa: B009
            os._exit(9)

    sys.setprofile(count)


def survives(log: Path, way: str, number: int) -> bool:
    """Rotate in a child that dies at the call `number`; whether it came to its end before."""
    child = os.fork()
    if child == 0:
        die_at(number)
        if way == "reopen":
            rotation.rotate_by_renaming(log, _KEEP)
        else:
            rotation.rotate_in_place(log, _KEEP)
        sys.setprofile(None)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def lines(first: int) -> list[str]:
    """Return as many lines as make one rotation possible."""
    return [f"{number:06d} {'x' * 60}" for number in range(first, first + _LINES)]


def append(log: Path, added: list[str]) -> None:
    """Append lines as a writer that opened the log anew if it was renamed away."""
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in added))


def main(directory: Path, way: str) -> None:
    """Go through all points of death, with a file rotated before and lines written after."""
    number = survived = 0
    while not survived:
        log = directory / str(number) / "f-0.log"
        log.parent.mkdir()
        append(log, lines(0))
        survives(log, way, 10**9)
        append(log, lines(_LINES))
        survived = survives(log, way, number)
        append(log, lines(2 * _LINES))
        rotation.recover(log, _KEEP)
        found, wanted = last_lines(log, 9 * _LINES), lines(0) + lines(_LINES) + lines(2 * _LINES)
        assert found == wanted, f"died at call {number}: {len(found)} lines instead of {len(wanted)}"
        survives(log, way, 10**9)
        assert last_lines(log, 9 * _LINES) == wanted, f"died at call {number}, then rotated once more"
        left = [path.name for path in log.parent.glob("f-0.log.*") if not path.suffix[1:].isdecimal()]
        assert not left, f"died at call {number}: {left} left"
        number += 1
    assert number > 5


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
