import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import pytest
import typer
from magnetar.cli.lazy import flat, with_truths
from magnetar.cli.main import main
from magnetar.cli.tree import ROOT, Branch, Verb
from magnetar.model.changes import Change, Effect, changes, effect


def verbs(branch: Branch, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Verb]]:
    found: list[tuple[tuple[str, ...], Verb]] = []
    for name, child in branch.children.items():
        here = (*path, name)
        found += verbs(child, here) if isinstance(child, Branch) else [(here, child)]
    return found


VERBS = verbs(ROOT)


@pytest.mark.parametrize(("path", "verb"), VERBS, ids=[" ".join(path) for path, _ in VERBS])
def test_every_command_has_its_help(path: tuple[str, ...], verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the tree is importable and tells its options."""
    with pytest.raises(SystemExit) if path == ("broker",) else nullcontext():
        assert main([*path, "--help"]) == 0
    assert "--help" in capsys.readouterr().out
    module, _, function = verb.target.partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--flag"], ["--flag=true"]),
        (["--flag", "false"], ["--flag", "false"]),
        (["--flag", "TRUE", "--flag"], ["--flag", "TRUE", "--flag=true"]),
        (["--flag", "--name", "x"], ["--flag=true", "--name", "x"]),
        (["--flag=false", "--other"], ["--flag=false", "--other"]),
    ],
)
def test_boolean_options_have_a_value_or_none(arguments: list[str], expected: list[str]) -> None:
    """Pulsar's tools take some with a value and some without, by version: both forms work."""
    assert with_truths(arguments, {"--flag"}) == expected


@dataclass(frozen=True)
class Where:
    url: Annotated[str | None, typer.Option("--url")] = None
    port: Annotated[int | None, typer.Option("--port")] = None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--url", "a", "verb", "--port", "1"], Where("a", 1)),
        (["--url", "a", "verb", "--url", "b"], Where("b", None)),
        (["--port", "1", "--url", "a", "verb"], Where("a", 1)),
    ],
)
def test_options_before_a_command_hold_for_it_unless_it_says_otherwise(arguments: list[str], expected: Where) -> None:
    """A group of options may be split over the command line."""
    seen: list[Where] = []

    def before(where: Where) -> None:
        assert isinstance(where, Where)

    def verb(where: Where) -> None:
        seen.append(where)

    app = typer.Typer()
    app.callback()(flat(before))
    app.command("verb")(flat(verb))
    app(arguments, standalone_mode=False)
    assert seen == [expected]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["functions", "get"], 2, "magnetar: no function is named"),
        (["functions", "get", "--nmae", "x"], 2, "--name"),
        (["functions", "liste"], 2, "list"),
        (["functions"], 2, "Usage:"),
        (["--admin-url", "http://127.0.0.1:1", "functions", "get", "f"], 3, "no worker answers at http://127.0.0.1:1"),
        (["functions", "create", "--function-config-file", "/none"], 1, "/none"),
        (["functions", "create", "--parallelism", "many"], 2, "parallelism"),
        (["functions", "create", "--processing-guarantees", "x"], 2, "'--processingGuarantees': 'x' is not one of"),
        (["--token-file", "/none", "functions", "list"], 2, "--token-file /none can't be read"),
        (["functions", "localrun", "--broker-service-url", "localhost"], 2, "--broker-service-url localhost is no"),
        (["init", "/proc/none"], 1, "/proc/none: "),
    ],
)
def test_an_error_is_one_line_and_a_code(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """1: refused, 2: wrong usage, 3: nobody there; one line says what to do."""
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1 or captured.err.startswith("Usage:")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints one line and leaves."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("magnetar ")


def test_help_imports_nothing_heavy() -> None:
    """The whole help is there without a parser, a group's without an HTTP client, models, a broker or rich."""
    code = (
        "import sys; from magnetar.cli.main import main; main(['--help']); print(*sorted(sys.modules));"
        "main(['functions', '--help']); print(*sorted(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after_whole, after_group = (set(line.split()) for line in found.stdout.splitlines() if "magnetar.cli.main" in line)
    heavy = {"httpx", "magnetar.model", "rich", "pulsar", "grpc", "google.protobuf", "fastapi", "anyio"}
    assert after_whole & {*heavy, "typer", "pydantic"} == set()
    assert after_group & heavy == set()


def test_changes_name_fields_of_blocks_in_full() -> None:
    """Two configs are compared field by field."""
    before = {"a": 1, "resources": {"cpu": 1.0, "ram": 2}, "gone": "x"}
    after = {"a": 1, "resources": {"cpu": 2.0, "ram": 2}, "new": [1]}
    assert list(changes(before, after)) == [
        Change("gone", "x", None),
        Change("new", None, [1]),
        Change("resources.cpu", 1.0, 2.0),
    ]


@pytest.mark.parametrize(
    ("before", "after", "changed", "expected"),
    [
        (2, 2, False, Effect()),
        (2, 2, True, Effect(restarted=(0, 1))),
        (1, 3, True, Effect(restarted=(0,), started=(1, 2))),
        (3, 1, True, Effect(restarted=(0,), stopped=(1, 2))),
        (0, 2, False, Effect(started=(0, 1))),
    ],
)
def test_an_updates_effect_on_instances(before: int, after: int, changed: bool, expected: Effect) -> None:
    """Those that stay restart, new ones start, those beyond the number stop."""
    assert effect(before, after, changed=changed) == expected
