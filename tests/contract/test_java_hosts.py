"""What a host lacks for Java functions is told at create; nothing needs a restart once it is there."""

import io
import zipfile
from pathlib import Path

import pytest
from class_files import class_file
from mixed import post
from standalone import Standalone, standalone

CONFIG = {"jar": "f.jar", "className": "a.B"}


def jar() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/B.class", class_file("a/B"))
    return content.getvalue()


def refusal(worker: Standalone) -> str:
    answer = post(worker, "refused", "f.jar", jar(), CONFIG)
    assert answer.status_code == 400, answer.text
    assert worker.http.get("/admin/v3/functions/public/default").json() == []
    return str(answer.json()["reason"])


def fetched(cache: Path) -> None:
    """Look like what `magnetar java fetch` leaves."""
    folder = cache / "java" / "4.0.7"
    (folder / "lib").mkdir(parents=True)
    for name in ("lib/pulsar-functions-runtime-4.0.7.jar", "java-instance.jar", "complete"):
        (folder / name).touch()


def java(home: Path, version: str) -> None:
    """Look like a JDK of a version."""
    program = home / "bin" / "java"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')


def test_what_a_host_lacks_for_java_is_told_at_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No instance of Pulsar's, no Java, a Java too old: each is refused with what to do, and no function is made."""
    cache, home = tmp_path / "cache", tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("MAGNETAR_CACHE", str(cache))
    monkeypatch.setenv("PATH", str(home / "bin"))
    with standalone(tmp_path / "data") as worker:
        sentence = refusal(worker)
        assert "run `magnetar java fetch`, or set javaInstanceJarLocation" in sentence
        fetched(cache)
        sentence = refusal(worker)
        assert "there is no `java` in the worker's PATH: install Java 17 or newer" in sentence
        java(home, "1.8.0_412")
        sentence = refusal(worker)
        assert f"Pulsar 4.0.7 needs Java 17 or newer, and {home}/bin/java is Java 8" in sentence
