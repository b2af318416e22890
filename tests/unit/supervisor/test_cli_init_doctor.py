import importlib.util
import io
import json
import os
import socket
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from magnetar.cli.doctor.findings import Verdict
from magnetar.cli.doctor.host import look_at_client, look_at_interpreter, look_at_kernel, look_at_limits
from magnetar.cli.doctor.settings import (
    look_at_directories,
    look_at_java_instance,
    look_at_ports,
    look_at_pulsar,
    look_at_space,
)
from magnetar.cli.functions.config import read_given
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.main import main
from magnetar.config import WorkerConfig, load_config
from magnetar.data_directory import owned
from magnetar.model import infer, validate
from magnetar.packages.inspect import check_package
from wheels import index, wheel


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdicts(config: WorkerConfig) -> dict[str, Verdict]:
    return {each.what: each.verdict for each in (*look_at_ports(config), *look_at_directories(config))}


def config_on(tmp_path: Path, **magnetar: Any) -> WorkerConfig:
    own = {"data_directory": str(tmp_path / "data"), "bind_address": "127.0.0.1", "health_port": 0, "metrics_port": 0}
    return load_config(
        None,
        {
            "worker_port": 0,
            "download_directory": str(tmp_path / "down"),
            "function_runtime_factory_configs": {"logDirectory": str(tmp_path / "logs")},
            "magnetar": {**own, **magnetar},
        },
    )


@pytest.mark.parametrize(("arguments", "class_name"), [([], "my_words"), (["--class"], "my_words.MyWords")])
def test_init_writes_a_function_that_a_worker_would_take(
    tmp_path: Path, arguments: list[str], class_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code and config fit together, and the code does what it says."""
    assert main(["init", str(tmp_path / "my-words"), *arguments]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    given = read_given(FunctionOptions(function_config_file=Path(written[1])))
    config = infer(given.config)
    assert (given.name.fqfn, config.class_name) == ("public/default/my-words", class_name)
    validate(config)
    assert given.file == Path(written[0])
    check_package(given.file, given.file.name, config.class_name, "PYTHON")
    if not arguments:
        assert imported(given.file).process("hello") == "hello!"


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run is refused and leaves the files alone."""
    assert main(["init", str(tmp_path / "f")]) == 0
    (tmp_path / "f" / "f.py").write_text("mine")
    capsys.readouterr()
    assert main(["init", str(tmp_path / "f")]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "f" / "f.py").read_text() == "mine"


def test_init_wants_a_name_that_a_module_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory such as `2024` needs a name beside it."""
    assert main(["init", str(tmp_path / "2024")]) == 2
    assert "--name" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "2024"), "--name", "year"]) == 0


def test_this_host_can_run_functions() -> None:
    """The tests' own host passes every look at what it must have."""
    looks = (look_at_interpreter(), look_at_client(), look_at_kernel(), look_at_limits())
    assert [each for each in looks if each.verdict is Verdict.FAILURE] == []


def test_a_client_that_cannot_be_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution of the name `pulsar` hides Pulsar's client."""
    (tmp_path / "pulsar.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = look_at_client()
    assert found.verdict is Verdict.FAILURE
    assert "pip uninstall pulsar" in found.remedy


def test_a_port_in_use_is_told_with_its_user(tmp_path: Path) -> None:
    """The setting, the port and the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = {each.what: each for each in look_at_ports(config_on(tmp_path, health_port=port))}
    health = found["magnetar.healthPort"]
    assert health.verdict is Verdict.FAILURE
    assert str(os.getpid()) in health.detail
    assert found["workerPort"].verdict is Verdict.OK


def test_directories_are_judged_by_the_nearest_that_is_there(tmp_path: Path) -> None:
    """A directory that a worker would make is well when its parent can be written."""
    found = verdicts(config_on(tmp_path))
    assert {found[each] for each in ("magnetar.dataDirectory", "downloadDirectory", "logDirectory")} == {Verdict.OK}
    (tmp_path / "logs").write_text("a file")
    assert verdicts(config_on(tmp_path))["logDirectory"] is Verdict.FAILURE


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path) -> None:
    """Each directory with what is left for it, and nothing where there is room."""
    found = list(look_at_space(config_on(tmp_path), least=2**62))
    assert [each.what.removeprefix("space of ") for each in found] == [
        "magnetar.dataDirectory",
        "downloadDirectory",
        "logDirectory",
    ]
    assert all(each.verdict is Verdict.WARNING and "MiB are left" in each.detail for each in found)
    assert list(look_at_space(config_on(tmp_path), least=0)) == []


def test_the_owner_of_the_data_is_told_while_it_runs(tmp_path: Path) -> None:
    """A living owner is a warning, one that has ended is none."""
    config = config_on(tmp_path)
    with owned(tmp_path / "data"):
        found = {each.what: each for each in look_at_directories(config)}["magnetar.dataDirectory"]
        assert found.verdict is Verdict.WARNING
        assert str(os.getpid()) in found.detail
    found = {each.what: each for each in look_at_directories(config)}["magnetar.dataDirectory"]
    assert (found.verdict, "which has ended" in found.detail) == (Verdict.OK, True)


def test_a_pulsar_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    """Unless the worker brings a broker of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        overrides = {
            "pulsarServiceUrl": f"pulsar://127.0.0.1:{server.getsockname()[1]}",
            "pulsarWebServiceUrl": "http://127.0.0.1:1",
        }
        found = {each.what: each.verdict for each in look_at_pulsar(load_config(None, overrides))}
    assert found == {"pulsarServiceUrl": Verdict.OK, "pulsarWebServiceUrl": Verdict.FAILURE}
    assert list(look_at_pulsar(config_on(tmp_path, embedded_broker={}))) == []


def test_java_functions_need_an_instance_that_is_no_fault_when_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy is told."""
    monkeypatch.setenv("MAGNETAR_CACHE", str(tmp_path))
    found = look_at_java_instance(config_on(tmp_path))
    assert found.verdict is Verdict.NOTE
    assert "magnetar java fetch" in found.remedy


def test_doctor_fails_for_a_config_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem of the file is a finding, and the exit code tells."""
    (tmp_path / "functions_worker.yml").write_text("workerPort: many\nuseTls: 7\n")
    assert main(["doctor", "-c", str(tmp_path / "functions_worker.yml")]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["verdict"] for each in found if each["what"] == "config"] == ["failure", "failure"]
    assert sys.executable in found[0]["detail"]


def test_validate_judges_config_and_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a worker would, without one: the exit code tells, and one line why."""
    (tmp_path / "f.py").write_text("def process(input):\n    return input\n")
    command = ["functions", "validate", "--py", str(tmp_path / "f.py"), "--classname", "f", "--inputs", "a"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": "public/default/f", "warnings": []}
    for wrong, said in (
        (["--output", "a"], "also being used as an input"),
        (["--classname", "g"], "g"),
        (["--parallelism", "0"], "parallelism"),
        (["--retain-ordering", "--retain-key-ordering"], "Only one of"),
    ):
        assert main([*command, *wrong]) == 1
        captured = capsys.readouterr()
        assert (captured.out, said in captured.err, captured.err.count("\n")) == ("", True, 1)


def test_validate_refuses_dependencies_for_threads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All functions in threads share one set of libraries."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("some.py", "")
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("f/src/f.py", "def process(input):\n    return input\n")
        archive.writestr("f/deps/some-1.0-py3-none-any.whl", content.getvalue())
    command = ["functions", "validate", "--py", str(tmp_path / "f.zip"), "--classname", "f", "--inputs", "a"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--custom-runtime-options", '{"magnetar": {"runtime": "thread"}}']) == 1
    assert "process" in capsys.readouterr().err


def test_validate_resolves_what_a_package_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the index that uv's own environment names, and in uv's own words where that has not what is asked for."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", index(tmp_path / "index", wheel("one", "1.0", {"one.py": ""})))
    file = tmp_path / "f.py"
    command = ["functions", "validate", "--py", str(file), "--classname", "f", "--inputs", "a"]
    script = "# /// script\n# dependencies = ['one{}']\n# ///\ndef process(input): return input\n"
    file.write_text(script.format(""))
    assert main(command) == 0
    file.write_text(script.format(">1"))
    assert main(command) == 1
    assert "only one==1.0 is available" in " ".join(capsys.readouterr().err.split())
