import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from magnetar.cli.main import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "functions_worker.yml"
    path.write_text("workerPort: 7\nworkerProt: 1\n")
    return path


def test_show_prints_what_is_given_and_where(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe as JSON; the environment counts."""
    monkeypatch.setenv("MAGNETAR_healthPort", "0")
    assert main(["config", "show", "-c", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "workerPort": {"value": 7, "origin": "functions_worker.yml:1"},
        "magnetar.healthPort": {"value": 0, "origin": "MAGNETAR_healthPort"},
    }


def test_show_effective_prints_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """The defaults too, as a table where it is asked for."""
    assert main(["config", "show", "--effective", "--format", "table"]) == 0
    printed = capsys.readouterr().out
    assert "pulsarServiceUrl" in printed
    assert "default" in printed


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 1)])
def test_lint_warns_and_fails_where_it_is_told_to(
    file: Path, strict: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown key alone does not keep a worker from starting."""
    assert main(["config", "lint", "-c", str(file), "--format", "table", *strict]) == code
    printed = capsys.readouterr().out
    assert "functions_worker.yml:2: unknown key 'workerProt'" in printed
    assert "would start" in printed


def test_lint_lists_all_problems(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that a worker would refuse, and exit code 1."""
    file.write_text("workerPort: many\nauthenticationEnabled: true\n")
    assert main(["config", "lint", "-c", str(file)]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 2


def on_a_terminal(width: int, *arguments: str, **environ: str) -> str:
    """Run a command whose standard output is a terminal."""
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).parent / "magnetar"), *arguments]
    variables = {**os.environ, "COLUMNS": str(width), "TERM": "dumb", **environ}
    with subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL, env=variables) as process:
        os.close(theirs)
        printed = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other side is closed
            while block := os.read(ours, 1024):
                printed += block
        os.close(ours)
        assert process.wait(60) == 0
    return printed.decode().replace("\r\n", "\n")


def test_a_terminal_gets_json_when_it_is_asked_for(file: Path) -> None:
    """What is said wins over what standard output is."""
    assert json.loads(on_a_terminal(80, "config", "show", "-c", str(file), "--format", "json"))


def test_a_wide_terminal_gets_a_table_whose_last_column_is_folded(file: Path) -> None:
    """Nothing of a value is lost."""
    text = on_a_terminal(80, "config", "show", "-c", str(file), MAGNETAR_bindAddress="Q" * 200)
    header, _, *rows = text.splitlines()
    assert header.split() == ["setting", "from", "value"]
    assert rows[0].split() == ["workerPort", "functions_worker.yml:1", "7"]
    assert text.count("Q") == 200


def test_a_narrow_terminal_gets_values_below_each_other(file: Path) -> None:
    """Rather than columns of two letters."""
    text = on_a_terminal(30, "config", "show", "-c", str(file))
    assert text == "setting  workerPort\nfrom     functions_worker.yml:1\nvalue    7\n"
