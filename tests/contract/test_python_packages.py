"""Python packages that ask for others, through the whole server; everything is installed from wheels made here."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pulsar
import pytest
from standalone import Standalone, running, standalone
from surviving import kill, surviving
from wheels import archive, held_index, index, wheel

SHOUTS = "import shouting\n\ndef process(input):\n    return shouting.shout(input)\n"
SCRIPT = f'# /// script\n# dependencies = ["shouting{{}}"]\n# ///\n{SHOUTS}'
COLLIDES = """\
import conf, instance, log, util

def process(input):
    return " ".join([input, conf.WORD, instance.WORD, log.WORD, util.WORD])
"""


def shouting(version: str) -> tuple[str, bytes]:
    code = f"import loudness\n\ndef shout(text):\n    return text.upper() + loudness.MARK + ' {version}'\n"
    return wheel("shouting", version, {"shouting.py": code}, "loudness>=1")


LOUDNESS = wheel("loudness", "1.0", {"loudness/__init__.py": "MARK = '!'\n"})


SLOW = wheel("slowly", "1.0", {"slowly.py": ""})


@pytest.fixture(scope="module")
def release_and_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[threading.Event, Standalone]]:
    folder = tmp_path_factory.mktemp("packages")
    url = index(folder / "index", shouting("1.0"), shouting("2.0"), LOUDNESS)
    with held_index(SLOW) as (slow, release):
        settings = {"pythonDependencyRepository": url, "pythonExtraDependencyRepository": slow}
        (folder / "worker.yml").write_text(json.dumps({"functionRuntimeFactoryConfigs": settings}))
        with standalone(folder / "data", "--config", str(folder / "worker.yml")) as made:
            yield release, made


@pytest.fixture
def worker(release_and_worker: tuple[threading.Event, Standalone]) -> Standalone:
    return release_and_worker[1]


def send(worker: Standalone, name: str, file: str, content: bytes | str, **config: object) -> tuple[int, str]:
    """Create a function with a package; returns the status and the reason."""
    whole = {
        "runtime": "PYTHON",
        "className": name,
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
        "subscriptionPosition": "Earliest",
        **config,
    }
    parts = {"functionConfig": (None, json.dumps(whole), "application/json"), "data": (file, content)}
    answer = worker.http.post(f"/admin/v3/functions/public/default/{name}", files=parts, timeout=90)
    return answer.status_code, "" if answer.is_success else answer.json()["reason"]


def said(worker: Standalone, name: str) -> str:
    """Send `hello` through a function and return what it makes of it."""
    consumer = worker.client.subscribe(f"{name}-out", "test", initial_position=pulsar.InitialPosition.Earliest)
    worker.client.create_producer(f"{name}-in").send(b"hello")
    return str(consumer.receive(60_000).data().decode())


def pid_of(worker: Standalone, name: str) -> int:
    return next(int(each["pid"]) for each in worker.instances() if each["fqfn"].endswith(f"/{name}"))


@pytest.mark.timeout(120)
def test_inline_metadata_is_installed_and_two_functions_may_differ(worker: Standalone) -> None:
    """Each runs with the version that it asks for, in its own environment, forked by a zygote of that environment."""
    for name, asked in (("older", "==1.0"), ("newer", ">=1"), ("same", ">=1")):
        assert send(worker, name, f"{name}.py", SCRIPT.format(asked)) == (204, "")
    answers = {name: said(worker, name) for name in ("older", "newer", "same")}
    assert answers == {"older": "HELLO! 1.0", "newer": "HELLO! 2.0", "same": "HELLO! 2.0"}
    processes = {name: psutil.Process(pid_of(worker, name)) for name in answers}
    assert all("magnetar_instance.zygote" in process.cmdline() for process in processes.values())
    paths = {name: process.environ()["PYTHONPATH"] for name, process in processes.items()}
    assert paths["newer"] == paths["same"] != paths["older"]


@pytest.mark.timeout(120)
def test_a_zip_brings_its_wheels_and_asks_for_the_rest(worker: Standalone) -> None:
    """Wheels in `deps` and an index together; the modules of the package may have any name."""
    name, content = wheel("whispering", "1.0", {"whispering.py": "def whisper(text): return text.lower()\n"})
    code = "import shouting, whispering\n\ndef process(input):\n    return shouting.shout(whispering.whisper(input))\n"
    entries = {
        "both/src/both.py": code,
        "both/requirements.txt": "-r more.txt\nshouting<2\n",
        f"both/deps/{name}": content,
    }
    package = archive({**entries, "both/more.txt": "whispering\n"})
    assert send(worker, "both", "both.zip", package) == (204, "")
    assert said(worker, "both") == "HELLO! 1.0"


@pytest.mark.timeout(120)
def test_a_wheel_is_run_with_what_it_requires(worker: Standalone) -> None:
    """Its metadata say what that is."""
    file, content = wheel("wheeled", "3", {"wheeled.py": SHOUTS}, "shouting==2.0")
    assert send(worker, "wheeled", file, content) == (204, "")
    assert said(worker, "wheeled") == "HELLO! 2.0"


@pytest.mark.timeout(120)
def test_a_directory_is_sent_whole_and_its_modules_collide_with_nothing(worker: Standalone, tmp_path: Path) -> None:
    """`--py DIRECTORY`, with modules called as those of Pulsar's own instance are."""
    source = tmp_path / "collides" / "src"
    source.mkdir(parents=True)
    (source / "collides.py").write_text(COLLIDES)
    for module in ("conf", "instance", "log", "util"):
        (source / f"{module}.py").write_text(f"WORD = '{module} is mine'\n")
    command = [sys.executable, "-m", "magnetar", "functions", "create", "--py", str(source.parent)]
    command += ["--admin-url", worker.addresses["http"], "--classname", "collides", "--inputs", "collides-in"]
    done = subprocess.run(
        [*command, "--output", "collides-out", "--subs-position", "Earliest"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said(worker, "collides") == "hello conf is mine instance is mine log is mine util is mine"


@pytest.mark.timeout(180)
def test_what_a_survivor_imports_from_stays(tmp_path: Path) -> None:
    """An environment that was installed long ago is noted as used when its instance is adopted."""
    url = index(tmp_path / "index", shouting("1.0"), LOUDNESS)
    with surviving(tmp_path, keys={"functionRuntimeFactoryConfigs": {"pythonDependencyRepository": url}}) as worker:
        assert send(worker, "kept", "kept.py", SCRIPT.format(""))[0] == 204
        assert said(worker, "kept") == "HELLO! 1.0"
        (note,) = (worker.data / "environments" / "installed").glob("*.used")
        os.utime(note, (0, 0))
        kill(worker)
        worker.start()
        running(worker, 1)
        assert note.stat().st_mtime > 0
        assert (note.with_suffix("") / "shouting.py").is_file()
        assert not worker.instances()[0]["restarts"]


@pytest.mark.timeout(120)
def test_what_can_not_be_had_is_refused_at_create(worker: Standalone) -> None:
    """In the resolver's words; and a source distribution is no wheel."""
    status, reason = send(worker, "absent", "absent.py", SCRIPT.format("-that-is-nowhere"))
    assert status == 400
    assert "shouting-that-is-nowhere was not found" in reason
    status, reason = send(worker, "clash", "clash.py", SCRIPT.format('==1.0", "loudness>=7'))
    assert status == 400
    assert "only loudness" in reason
    status, reason = send(worker, "old", "old.py", f'# /// script\n# requires-python = "<3"\n# ///\n{SHOUTS}')
    assert (status, "asks for Python <3" in reason) == (400, True), reason
    options = json.dumps({"magnetar": {"runtime": "thread"}})
    status, reason = send(worker, "threads", "threads.py", SCRIPT.format(""), customRuntimeOptions=options)
    assert (status, "threads would share" in reason) == (400, True), reason


@pytest.mark.timeout(120)
def test_while_it_is_installed_status_says_so(release_and_worker: tuple[threading.Event, Standalone]) -> None:
    """The instance is pending, with what is installed for it as the reason, until that is there."""
    release, worker = release_and_worker
    code = "# /// script\n# dependencies = ['slowly']\n# ///\nimport slowly\n\ndef process(input):\n    return input\n"
    assert send(worker, "waits", "waits.py", code) == (204, "")
    until(
        lambda: state_of(worker, "waits") == ("pending", "installing what waits.py asks for in inline script metadata")
    )
    release.set()
    assert said(worker, "waits") == "hello"
    until(lambda: state_of(worker, "waits") == ("running", ""))


def state_of(worker: Standalone, name: str) -> tuple[object, object]:
    found = [each for each in worker.instances() if each["fqfn"].endswith(f"/{name}")]
    return (found[0]["phase"], found[0]["reason"]) if found else ("", "")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
