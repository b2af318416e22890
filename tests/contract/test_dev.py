"""`magnetar dev` as its user has it: one terminal, files that change, Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.timeout(180)
CODE = "def process(input):\n    print('got', input)\n    return input + '{}'\n"


class Terminal:
    """A running command and the lines that it prints."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        self._lines = process.stdout
        self.seen: list[str] = []
        """What the last `until` has read."""

    def until(self, pattern: str, copy: Path | None = None) -> "re.Match[str]":
        """Read on until a line matches; each is appended to a copy."""
        self.seen = seen = []
        for line in self._lines:
            seen.append(line)
            if copy is not None:
                with copy.open("a") as file:
                    file.write(line)
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"no line matches {pattern!r}: {''.join(seen)}")


@contextmanager
def dev(*arguments: str, home: Path) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "magnetar", "dev", "--http-port", "0", "--broker-port", "0", *arguments]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with process:
        try:
            yield Terminal(process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def trigger(http: httpx.Client, name: str) -> str:
    path = f"/admin/v3/functions/public/default/{name}/trigger"
    answer = http.post(path, files={"data": (None, "hello")}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_functions_are_reloaded_when_their_files_change(tmp_path: Path) -> None:
    """One without a config and one with; a mistake is told while the version before goes on, and Ctrl-C ends all."""
    (tmp_path / "one.py").write_text(CODE.format("!"))
    two = tmp_path / "two"
    two.mkdir()
    config = {"name": "two", "className": "two", "py": "two.py", "inputs": ["two-in"], "output": "two-out"}
    (two / "function.json").write_text(json.dumps(config))
    (two / "two.py").write_text(CODE.format("?"))
    with dev("one.py", "two", home=tmp_path) as terminal:
        address = terminal.until(r"ready: http (\S+),")[1]
        first = terminal.until(r"one +\| runs, digest (\w+)")[1]
        terminal.until(r"two +\| runs, digest")
        with httpx.Client(base_url=address) as http:
            assert (trigger(http, "one"), trigger(http, "two")) == ("hello!", "hello?")
            terminal.until(r"one +\| .*got hello")
            (tmp_path / "one.py").write_text(CODE.format("!!"))
            assert terminal.until(r"one +\| runs, digest (\w+)")[1] != first
            assert trigger(http, "one") == "hello!!"
            (tmp_path / "one.py").write_text("def process(:\n")
            terminal.until(r"one +\| one\.py, line 1: .*the version before goes on")
            assert trigger(http, "one") == "hello!!"
            (tmp_path / "one.py").write_text("import nothing_of_this_name\n" + CODE.format("."))
            terminal.until(r"one +\| .*nothing_of_this_name")
            (tmp_path / "one.py").write_text(CODE.format("."))
            terminal.until(r"one +\| runs, digest")
            assert trigger(http, "one") == "hello."
    assert terminal.process.returncode == 0


def test_a_mistake_is_told_once_for_each_save(tmp_path: Path) -> None:
    """Its own output, kept in a file beside the function, is no save; a traceback stands in the log alone."""
    (tmp_path / "one.py").write_text(CODE.format("!"))
    copy = tmp_path / "dev.out"
    with dev("one.py", home=tmp_path) as terminal:
        address = terminal.until(r"ready: http (\S+),")[1]
        terminal.until(r"one +\| runs, digest (\w+)")
        (tmp_path / "one.py").write_text("def process(:\n")
        terminal.until(r"one +\| one\.py, line 1: ", copy)
        with httpx.Client(base_url=address) as http:
            for _ in range(20):
                (tmp_path / "notes.txt").write_text("more")
                trigger(http, "one")
        (tmp_path / "one.py").write_text("import nothing_of_this_name\n" + CODE.format("."))
        terminal.until(r"digest \w+ does not run", copy)
        assert not any("line 1: " in line and "| [" not in line and "File" not in line for line in terminal.seen)
        assert not any(re.match("Traceback|.* ERROR ", line) for line in terminal.seen)
    assert terminal.process.returncode == 0


def test_a_path_that_is_no_function_is_told_at_once(tmp_path: Path) -> None:
    """Exit code 2 and one line."""
    command = [sys.executable, "-m", "magnetar", "dev", "nothing.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "nothing.py is not there" in ran.stderr
