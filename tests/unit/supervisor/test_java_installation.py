import hashlib
import zipfile
from pathlib import Path

import pytest
from magnetar.errors import RefusedError
from magnetar.java.installation import class_path_files, find_installation
from magnetar.java.timed_output import AGENT, SOURCE
from magnetar.java.version import java_release, parse_version


def pulsar(home: Path, version: str = "2.8.1") -> Path:
    (home / "lib").mkdir(parents=True)
    (home / "instances").mkdir()
    (home / "lib" / f"org.apache.pulsar-pulsar-functions-runtime-{version}.jar").touch()
    jar = home / "instances" / "java-instance.jar"
    jar.touch()
    return jar


def fetched(cache: Path, version: str, *, complete: bool = True) -> None:
    folder = cache / "java" / version
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / f"pulsar-functions-runtime-{version}.jar").touch()
    (folder / "java-instance.jar").touch()
    if complete:
        (folder / "complete").touch()


def test_an_installation_is_its_jar_with_the_tree_beside_it(tmp_path: Path) -> None:
    """The class path is the installation's `conf` and `lib`; the version is that of the runtime's jar."""
    found = find_installation(pulsar(tmp_path / "p"), "", tmp_path)
    assert found.class_path == f"{tmp_path}/p/conf:{tmp_path}/p/lib/*"
    assert found.version == (2, 8, 1)
    assert found.log_config.parent.name == "java"


def test_an_installations_own_log_configuration_wins(tmp_path: Path) -> None:
    """As Pulsar's worker takes conf/functions_log4j2.xml where it is."""
    jar = pulsar(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "functions_log4j2.xml").touch()
    assert find_installation(jar, "", tmp_path).log_config == tmp_path / "conf" / "functions_log4j2.xml"


def test_a_class_path_may_be_given(tmp_path: Path) -> None:
    """A jar outside an installation needs `functionInstanceClassPath`; the version may come from inside the jar."""
    jar = tmp_path / "x" / "java-instance.jar"
    jar.parent.mkdir()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/maven/org.apache.pulsar/pulsar-functions-api/pom.properties", "version=4.0.8\n")
    with pytest.raises(RefusedError, match="functionInstanceClassPath"):
        find_installation(jar, "", tmp_path)
    assert find_installation(jar, "/other/*", tmp_path).version == (4, 0, 8)


def test_the_newest_finished_fetch_is_taken(tmp_path: Path) -> None:
    """Versions are compared as numbers, and what was not fetched whole does not count."""
    fetched(tmp_path, "4.0.7")
    fetched(tmp_path, "4.0.10")
    fetched(tmp_path, "4.2.0", complete=False)
    assert find_installation(None, "", tmp_path).version == (4, 0, 10)


def test_without_any_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    """It names the command and the setting."""
    with pytest.raises(RefusedError, match=r"magnetar java fetch.*javaInstanceJarLocation"):
        find_installation(None, "", tmp_path)
    with pytest.raises(RefusedError, match=r"javaInstanceJarLocation: .*nowhere"):
        find_installation(tmp_path / "nowhere", "", tmp_path)


def test_wildcards_name_all_jars_of_a_folder(tmp_path: Path) -> None:
    """In a class path `*` is every jar."""
    jar = pulsar(tmp_path)
    assert class_path_files(f"{jar}:{tmp_path}/lib/*:{tmp_path}/none") == [jar, *(tmp_path / "lib").iterdir()]


@pytest.mark.parametrize(("text", "release"), [("1.8.0_352", 8), ("11.0.2", 11), ("17.0.15", 17), ("25-ea", 25)])
def test_the_release_of_a_java_is_read_from_its_directory(tmp_path: Path, text: str, release: int) -> None:
    """Old versions begin with 1; no JVM is started to learn it."""
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{text}"\n')
    assert java_release(home / "bin" / "java") == release


def test_versions_are_numbers() -> None:
    """Suffixes are left out."""
    assert parse_version("5.0.0-M1") == (5, 0, 0)
    assert parse_version("none") == ()


def test_the_agent_is_built_of_the_source_beside_it() -> None:
    """Whoever changes the source runs scripts/java_agent."""
    with zipfile.ZipFile(AGENT) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
    assert f"SHA-256: {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}\n" in manifest
