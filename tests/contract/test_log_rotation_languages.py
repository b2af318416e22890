"""What Go and Java instances write, rotated in place under them, through deaths of the worker and of the instance."""

import os
import re
import signal
from pathlib import Path

import pytest
from magnetar.log_files.reading import last_lines
from mixed import create_in, eventually, exchange, instance_of
from requirements import requires
from standalone import Standalone, running, until
from surviving import kill, surviving
from toolchains import CACHE, java_installation

pytestmark = pytest.mark.timeout(300)
EACH = 300
LINES = {"go": re.compile(r"^\S+ .*\bexclaimed\b.*\blength=(\d+)$"), "java": re.compile(r"^.*\bprinted (x+)$")}


@pytest.mark.parametrize(
    "language",
    [
        pytest.param("go", marks=requires("go")),
        pytest.param("java", marks=[requires("java"), requires("maven")]),
    ],
)
def test_lines_are_whole_and_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """Each line once through rotations and the worker's death; after the instance's own death none is missing or cut."""
    if language == "java":
        java_installation()
        monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    monkeypatch.setenv("MAGNETAR_logs_maxBytes", "8192")
    monkeypatch.setenv("MAGNETAR_logs_files", "90")
    with surviving(tmp_path) as worker:
        name = create_in(worker, language)
        before = running(worker, 1)[f"public/default/{name}:0"]
        log = Path(before["logFile"]).with_suffix(".out" if language == "java" else ".log")
        say(worker, name, log, 1)
        kill(worker)
        worker.start()
        assert running(worker, 1)[f"public/default/{name}:0"]["pid"] == before["pid"]
        say(worker, name, log, 1 + EACH)
        assert lengths(log, language) == list(range(1, 1 + 2 * EACH))
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: (instance_of(worker, name) or {})["restarts"] == 1, "its death was not seen")
        say(worker, name, log, 1 + 2 * EACH)
        assert sorted(set(lengths(log, language))) == list(range(1, 1 + 3 * EACH))


def say(worker: Standalone, name: str, log: Path, first: int) -> None:
    """Have the function write of texts that are longer and longer, until its log has been rotated once more."""
    before = rotations(log)
    exchange(worker, name, *("x" * length for length in range(first, first + EACH)), count=EACH)
    eventually(lambda: rotations(log) > before, lambda: str(sorted(log.parent.iterdir())))


def rotations(log: Path) -> int:
    return len(list(log.parent.glob(f"{log.name}.*")))


def lengths(log: Path, language: str) -> list[int]:
    """Return what the function wrote; a line of its that is not whole fails the test."""
    found = []
    for line in last_lines(log, 10**6):
        match = LINES[language].match(line)
        if match is not None:
            found.append(len(match[1]) if language == "java" else int(match[1]))
        else:
            assert "exclaimed" not in line, line
            assert "printed" not in line, line
            assert "xxx" not in line, line
    return found
