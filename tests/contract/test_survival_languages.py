"""Java, Go and Python instances that outlive their worker alike."""

import os
import signal
from pathlib import Path

import pytest
from magnetar.processes.identity import Identity
from mixed import create_in, exchange
from requirements import requires
from standalone import running, standalone, until
from surviving import everything, kill, kill_and_time, surviving, tell
from toolchains import CACHE, java_installation

ROUNDS = int(os.environ.get("MAGNETAR_SOAK_ROUNDS", "0"))
"""Kills beside the one of the test."""
pytestmark = [requires("java"), requires("maven"), requires("go"), pytest.mark.timeout(3600 if ROUNDS else 400)]


def test_nothing_of_any_language_outlives_a_killed_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default Java, Go and Python instances end with their worker, and the next one starts each of them once."""
    java_installation()
    monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    times = []
    with standalone(tmp_path / "data") as worker:
        for language in ("java", "go", "python"):
            create_in(worker, language)
        for _ in range(ROUNDS + 1):
            running(worker, 3)
            times.append(kill_and_time(worker))
            assert not everything(worker)
            worker.start()
        tell("nothing left of Java, Go and Python", times)
        running(worker, 3)
        assert len(everything(worker)) == 3


def test_instances_of_all_languages_are_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same processes go on and work; one that was killed meanwhile is started again, and an end later is seen."""
    java_installation()
    monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    with surviving(tmp_path) as worker:
        names = {language: create_in(worker, language) for language in ("java", "go", "python")}
        before = {name: each["pid"] for name, each in running(worker, 3).items()}
        for _ in range(ROUNDS):
            kill(worker)
            worker.start()
            assert {name: each["pid"] for name, each in running(worker, 3).items()} == before
        kill(worker)
        gone = Identity.of(before[f"public/default/{names['go']}:0"])
        os.kill(gone.pid, signal.SIGKILL)
        until(lambda: not gone.alive, "the instance goes on")
        worker.start()
        after = running(worker, 3)
        changed = {name for name, each in after.items() if each["pid"] != before[name]}
        assert changed == {f"public/default/{names['go']}:0"}
        for language, name in names.items():
            assert exchange(worker, name, "a", count=1) == ["a?!"], language
        java = f"public/default/{names['java']}:0"
        os.kill(after[java]["pid"], signal.SIGKILL)
        until(lambda: running(worker, 3)[java]["restarts"] == 1, "its death was not seen")
