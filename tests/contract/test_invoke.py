"""`magnetar functions invoke` and `magnetar demo`: a worker of the command's own, which is gone with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from magnetar.cli.main import main

MAGNETAR = str(Path(sys.executable).parent / "magnetar")
CODE = """def process(input):
    print("asked about", input)
    return None if input == "nothing" else 100 // int(input)
"""
CONFIG = """tenant: acme
namespace: prod
className: share
py: share.py
inputs: [persistent://other/space/in]
output: acme/results/out
parallelism: 3
"""
pytestmark = pytest.mark.timeout(180)


def magnetar(*arguments: str, home: Path, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; whatever it has started is gone then."""
    mark = str(home)
    known = {**os.environ, "MARK_OF_THE_TEST": mark, "MAGNETAR_ADMIN_URL": "http://localhost:1"}
    done = subprocess.run(
        [MAGNETAR, *arguments],
        cwd=home,
        env=known,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    _, alive = psutil.wait_procs([each for each in psutil.process_iter() if mark in marks(each)], timeout=20)
    assert not alive
    return done


def marks(process: psutil.Process) -> str:
    try:
        return process.environ().get("MARK_OF_THE_TEST", "") if process.pid != os.getpid() else ""
    except psutil.Error:
        return ""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "share.py").write_text(CODE)
    (tmp_path / "function.yml").write_text(CONFIG)
    return tmp_path


def test_a_value_and_its_answer(home: Path) -> None:
    """The answer stands alone on standard output, what the function prints on the other; namespaces are made as needed."""
    done = magnetar("functions", "invoke", "./", "5", home=home)
    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr
    assert "asked about 5" in done.stderr
    piped = magnetar("functions", "invoke", "share.py", "--event", "-", home=home, given="4")
    assert (piped.returncode, piped.stdout) == (0, "25\n"), piped.stderr


def test_a_function_that_fails_is_told_at_once(home: Path) -> None:
    """Its exception is the one line, after its log, and nobody waits for an answer that can't come."""
    done = magnetar("functions", "invoke", "share.py", "0", "--timeout", "100", home=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("magnetar: share failed: ZeroDivisionError")
    done = magnetar("functions", "invoke", "share.py", "nothing", "--timeout", "100", home=home)
    assert (done.returncode, done.stdout) == (0, "")
    assert "share processed the value and returned nothing" in done.stderr.splitlines()[-1]


def test_a_file_that_ends_its_process_is_told_with_what_it_said(home: Path) -> None:
    """A crash loop isn't waited for, and the worker's own log adds nothing to the one reason."""
    (home / "share.py").write_text("import os\nprint('no licence', flush=True)\nos._exit(3)\ndef process(input): ...\n")
    done = magnetar("functions", "invoke", "share.py", "1", "--timeout", "100", home=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no licence" in done.stderr
    assert "instance 0 of public/default/share is crash-looping: ended with exit code 3" in done.stderr
    assert "ERROR" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "no function is named"),
        (["share.py"], 2, "give either a value or --event FILE"),
        (["share.py", "1", "--event", "x"], 2, "give either a value or --event FILE"),
        (["share.py", "--event", "missing"], 2, "--event missing is no file"),
        (["share.py", "1", "--tenant", "acme"], 2, "share.py is a path"),
        (["./missing.py", "1"], 2, "missing.py is not there"),
        (["sub/folder", "1"], 2, "write ./sub/folder"),
        (["somebody", "1"], 3, "no worker answers"),
        (["--name", "somebody", "1"], 3, "no worker answers"),
    ],
)
def test_what_is_wrong_is_one_line(
    home: Path,
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong command line is told before anything is started."""
    (home / "sub" / "folder").mkdir(parents=True)
    monkeypatch.chdir(home)
    assert main(["--admin-url", "http://localhost:1", "functions", "invoke", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_the_demonstration(home: Path) -> None:
    """Two functions, their messages and answers, and nothing that stays; with nothing but the program."""
    done = magnetar("demo", "--once", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "hello!" in done.stdout
    assert "Hello, the quick brown fox!" in done.stdout
    assert [line.split()[2] for line in done.stdout.splitlines() if "public/default" in line] == ["thread", "process"]


def test_the_demonstration_serves_until_it_is_asked_to_end(home: Path) -> None:
    """The commands that it names work while it serves, and Ctrl-C ends it in peace."""
    command = [MAGNETAR, "demo"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        named = next(line for line in process.stdout if "functions trigger" in line).split()[1:]
        done = magnetar(*named, home=home)
        assert (done.returncode, done.stdout) == (0, "Hello, you!\n"), done.stderr
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
