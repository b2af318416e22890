import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from magnetar.errors import RefusedError
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.choice import choose_runtime
from magnetar.runtimes.process.command import log_file, python_environment
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.python import OWN_LAUNCHER, PythonLanguage
from magnetar.runtimes.process.settings import Credentials, ProcessSettings
from magnetar_instance.proto.function import FunctionDetails

SPEC = InstanceSpec(
    FunctionDetails(
        tenant="t",
        namespace="n",
        name="f",
        runtime=FunctionDetails.PYTHON,
        runtimeFlags='-X "dev mode"',
        userConfig="{}",
    ),
    2,
    Path("f.py"),
    "id",
    "version",
)
PLACE = Place(Path("copy/f.py"), 1, 2, Path("logs/f-2.log"))
SETTINGS = ProcessSettings("pulsar://localhost:6650", "alone", Path("logs"), health_check_interval=30)


def test_a_python_command_is_pulsars() -> None:
    """Flags of the interpreter stand before the launcher; each value follows its flag, in Pulsar's order."""
    command = list(PythonLanguage(replace(SETTINGS, python_instance=Path("main.py"))).launch(SPEC, PLACE).argv)
    assert command[:4] == [sys.executable, "-X", "dev mode", "main.py"]
    values = dict(zip(command[4::2], command[5::2], strict=True))
    assert values["--py"] == "copy/f.py"
    assert values["--logging_directory"] == "logs/functions"
    assert values["--instance_id"] == "2"
    details = values["--function_details"]
    assert details[0] == details[-1] == "'"
    assert json.loads(details[1:-1])["name"] == "f"
    assert list(values)[-1] == "--cluster_name"


def test_credentials_are_passed_as_pulsar_passes_them() -> None:
    """The authentication flags appear only when the worker authenticates."""
    place = replace(PLACE, credentials=Credentials("plugin", "file:///x", use_tls=True))
    command = list(PythonLanguage(SETTINGS).launch(SPEC, place).argv)
    assert command[command.index("--client_auth_params") + 1] == "file:///x"
    assert command[command.index("--use_tls") + 1] == "true"
    assert "--client_auth_plugin" not in PythonLanguage(SETTINGS).launch(SPEC, PLACE).argv


def test_extra_dependencies_come_first_and_nothing_of_the_path_is_lost() -> None:
    """The directory is prepended to the PYTHONPATH that the worker inherited."""
    settings = ProcessSettings("u", "c", Path("l"), {"PYTHONPATH": "/a:/b", "X": "1"}, extra_dependencies=Path("/deps"))
    assert python_environment(settings) == {"PYTHONPATH": "/deps:/a:/b", "X": "1"}
    bare = ProcessSettings("u", "c", Path("l"), {}, extra_dependencies=Path("/deps"))
    assert python_environment(bare) == {"PYTHONPATH": "/deps"}


def test_log_files_stand_where_pulsar_puts_them() -> None:
    """One file for each instance in a directory for each function."""
    assert log_file(Path("logs"), "t", "n", "f", 3) == Path("logs/functions/t/n/f/f-3.log")


def test_our_own_launcher_is_linked_and_forked_unless_it_has_flags() -> None:
    """Flags of the interpreter can't be given to a fork, so such an instance is run by exec."""
    plain = replace(SPEC, details=FunctionDetails(name="f"))
    launch = PythonLanguage(SETTINGS).launch(plain, PLACE)
    assert launch.argv[:2] == [sys.executable, str(OWN_LAUNCHER)]
    assert launch.forked_argv == launch.argv[1:]
    assert launch.linked
    assert PythonLanguage(SETTINGS).launch(SPEC, PLACE).forked_argv is None


def test_another_launcher_is_run_by_exec_and_asked_over_grpc() -> None:
    """pythonInstanceLocation names it; its watchdog of 3 s intervals gets a health check in each."""
    settings = replace(SETTINGS, python_instance=Path("/pulsar/main.py"), health_check_interval=3)
    launch = PythonLanguage(settings).launch(replace(SPEC, details=FunctionDetails(name="f")), PLACE)
    assert launch.argv[1] == "/pulsar/main.py"
    assert launch.forked_argv is None
    assert not launch.linked
    assert launch.health_interval == 3


@pytest.mark.parametrize("language", ["JAVA", "GO"])
def test_java_and_go_are_refused_in_threads(language: str) -> None:
    """The refusal names the process runtime."""
    with pytest.raises(RefusedError, match="process runtime"):
        choose_runtime(language, "thread", allowed=("process", "thread"), default="process")
    assert choose_runtime(language, None, allowed=("process", "thread"), default="process") == "process"


def test_a_runtime_that_is_not_allowed_is_refused_by_name() -> None:
    """The refusal names what is allowed."""
    with pytest.raises(RefusedError, match=r"'thread' is not allowed.*has process$"):
        choose_runtime("PYTHON", "thread", allowed=("process",), default="process")
