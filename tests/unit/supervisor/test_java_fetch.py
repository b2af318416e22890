import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from magnetar.errors import BrokenDownloadError, RefusedError
from magnetar.java import maven
from magnetar.java.download import download
from magnetar.java.fetch import fetch
from magnetar.java.lock import Artefact, read_lock, shipped_lock

CONTENT = bytes(range(256)) * 100


@dataclass
class Repository:
    """A Maven repository on loopback; it notes what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def add(self, artifact: str, content: bytes = CONTENT) -> Artefact:
        artefact = Artefact("a.b", artifact, "1", "", len(content), hashlib.sha256(content).hexdigest())
        self.files[f"/{artefact.path}"] = content
        return artefact


@pytest.fixture
def repository() -> Iterator[Repository]:
    made = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            made.asked.append((self.path, wanted))
            content = made.files.get(self.path)
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            self.send_response(404 if content is None else 206 if wanted else 200)
            body = (content or b"")[begin:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_everything_is_downloaded_and_counted(repository: Repository, tmp_path: Path) -> None:
    """Progress adds up to the bytes that are there in the end."""
    artefacts = [repository.add(f"jar{number}") for number in range(10)]
    got: list[int] = []
    await download(artefacts, tmp_path, repository.url, got.append)
    assert names(tmp_path) == sorted(each.file_name for each in artefacts)
    assert (tmp_path / "jar3-1.jar").read_bytes() == CONTENT
    assert sum(got) == 10 * len(CONTENT)


async def test_a_broken_download_is_resumed(repository: Repository, tmp_path: Path) -> None:
    """Only what is missing is asked for, and what is whole is not asked for at all."""
    half, whole = repository.add("half"), repository.add("whole")
    (tmp_path / "half-1.part").write_bytes(CONTENT[:1000])
    (tmp_path / "whole-1.jar").write_bytes(CONTENT)
    got: list[int] = []
    await download([half, whole], tmp_path, repository.url, got.append)
    assert repository.asked == [("/a/b/half/1/half-1.jar", "bytes=1000-")]
    assert (tmp_path / "half-1.jar").read_bytes() == CONTENT
    assert sum(got) == 2 * len(CONTENT)


async def test_a_spoilt_part_is_fetched_anew(repository: Repository, tmp_path: Path) -> None:
    """The checksum tells; the second try begins from nothing."""
    spoilt = repository.add("spoilt")
    (tmp_path / "spoilt-1.part").write_bytes(b"x" * 1000)
    got: list[int] = []
    await download([spoilt], tmp_path, repository.url, got.append)
    assert (tmp_path / "spoilt-1.jar").read_bytes() == CONTENT
    assert sum(got) == len(CONTENT)


async def test_a_file_of_another_content_is_refused(repository: Repository, tmp_path: Path) -> None:
    """The error names the file and what to do, and nothing of it is kept."""
    artefact = repository.add("fake")
    repository.files[f"/{artefact.path}"] = bytes(len(CONTENT))
    with pytest.raises(BrokenDownloadError, match=r"fake-1\.jar could not be downloaded: its checksum"):
        await download([artefact], tmp_path, repository.url, lambda _: None)
    assert names(tmp_path) == []


async def test_what_the_repository_lacks_is_named(repository: Repository, tmp_path: Path) -> None:
    """The answer's code is told."""
    missing = Artefact("a", "none", "1", "", 1, "0")
    with pytest.raises(BrokenDownloadError, match=r"none-1\.jar .*404"):
        await download([missing], tmp_path, repository.url, lambda _: None)


async def test_without_maven_only_the_locked_version_can_be_had(tmp_path: Path) -> None:
    """The refusal names both ways out."""
    with pytest.raises(RefusedError, match=r"only Pulsar 4\.0\.7 .* install Maven for 3\.0\.0"):
        await fetch("3.0.0", tmp_path, way="lock", repository="", progress=lambda _: None, told=lambda _: None)


def test_the_shipped_lock_is_whole() -> None:
    """Each artefact has a name of its own in the class path, a size and a checksum."""
    artefacts = shipped_lock()
    assert len({each.file_name for each in artefacts}) == len(artefacts) > 200
    assert all(each.size > 0 and len(each.sha256) == 64 for each in artefacts)
    assert {"pulsar-functions-runtime", "pulsar-functions-runtime-all"} <= {each.artifact for each in artefacts}


def test_a_lock_line_is_coordinates_size_and_checksum() -> None:
    """A classifier is a fourth coordinate; comments are passed over."""
    (artefact,) = read_lock("# comment\norg.a:b:1.2:linux 7 ff\n")
    assert artefact.path == "org/a/b/1.2/b-1.2-linux.jar"


def test_the_instance_jar_of_the_locked_version_is_the_published_one() -> None:
    """4.0.7 of it was not published; every other version goes with its own."""
    assert "pulsar-functions-runtime-all</artifactId><version>4.0.8<" in maven.pom("4.0.7")
    assert "pulsar-functions-runtime-all</artifactId><version>4.1.0<" in maven.pom("4.1.0")
