import json
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
