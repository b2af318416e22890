import os
from pathlib import Path

import anyio
import pytest
from magnetar.broker_admin import BrokerAdmin
from magnetar.errors import BrokerRefusedError, NotReadyError, RefusedError
from magnetar.model.names import FunctionName
from magnetar.packages.cache import PackageCache
from magnetar.packages.locations import UrlPolicy, base_name, is_own, kind_of_location, own_location
from magnetar.packages.store import PackageStore
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import PackageLocationMetaData

pytestmark = pytest.mark.anyio
NAME = FunctionName("public", "default", "stored")
CODE = b"def process(input):\n    return input\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def admin(pulsar_broker: RunningBroker):  # noqa: ANN201
    async with BrokerAdmin(pulsar_broker.admin_url) as client:
        yield client


@pytest.fixture
def code(tmp_path: Path) -> Path:
    file = tmp_path / "received"
    file.write_bytes(CODE)
    return file


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def at(path: str, name: str = "hello.py") -> PackageLocationMetaData:
    return PackageLocationMetaData(packagePath=path, originalFileName=name)


async def test_keeps_what_is_uploaded(admin: BrokerAdmin, code: Path, tmp_path: Path) -> None:
    """An uploaded package can be fetched on another host under its name, and is gone everywhere once deleted."""
    here, there = PackageStore(admin, tmp_path / "here"), PackageStore(admin, tmp_path / "there")
    location = await here.upload(NAME, 3, code, "hello.py")
    assert location.packagePath.startswith("function://public/default/stored@3-")
    for store in (here, there):
        fetched = await store.fetch(location)
        assert (fetched.name, fetched.read_bytes()) == ("hello.py", CODE)
        await store.delete(NAME, location) if store is there else None
    assert files(tmp_path / "there") == []
    with pytest.raises(BrokerRefusedError) as refused:
        await PackageStore(admin, tmp_path / "third").fetch(location)
    assert refused.value.status == 404
    assert files(tmp_path / "third") == []


async def test_keeps_each_content_once(admin: BrokerAdmin, code: Path, tmp_path: Path) -> None:
    """Two functions of the same code share one file, which stays until both are gone."""
    store = PackageStore(admin, tmp_path / "cache")
    first, second = [await store.upload(NAME, version, code, "hello.py") for version in (0, 1)]
    one, two = await store.fetch(first), await store.fetch(second)
    assert one != two
    assert one.stat().st_ino == two.stat().st_ino
    await store.delete(NAME, first)
    assert two.read_bytes() == CODE
    await store.delete(NAME, second)
    assert files(tmp_path / "cache") == []


async def test_fetches_once_for_all_who_ask(admin: BrokerAdmin, code: Path, tmp_path: Path) -> None:
    """Many instances that start at once wait for one download."""
    location = await PackageStore(admin, tmp_path / "here").upload(NAME, 0, code, "hello.py")
    store = PackageStore(admin, tmp_path / "there")
    found: list[Path] = []

    async def fetch() -> None:
        found.append(await store.fetch(location))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(fetch)
    assert len(set(found)) == 1
    assert len(files(tmp_path / "there")) == 2


async def test_makes_programs_executable(admin: BrokerAdmin, tmp_path: Path) -> None:
    """A Go program may be run where it is fetched."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes(60))
    store = PackageStore(admin, tmp_path / "cache")
    assert os.access(await store.fetch(await store.upload(NAME, 0, program, "hello")), os.X_OK)


def test_sweeps_what_nobody_uses(code: Path, tmp_path: Path) -> None:
    """A place that no function names goes, and its content with it; what is in use or new stays."""
    cache = PackageCache(tmp_path / "cache")
    used, left = cache.add("used", "hello.py", code), cache.add("left", "other.py", code)
    cache.sweep(["used"])
    assert left.is_file()
    cache.sweep(["used"], settled=0)
    assert used.read_bytes() == CODE
    assert not left.exists()
    cache.sweep([], settled=0)
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("builtin://exclamation", "No Function archive 'exclamation' found"),
        ("public/default/hello/0b6d-hello.py", "kept in BookKeeper"),
        ("ftp://host/hello.py", "write function://"),
        ("", "can't be read"),
        ("http://127.0.0.1/hello.py", "additionalEnabledFunctionsUrlPatterns"),
        ("file:///etc/passwd", "additionalEnabledFunctionsUrlPatterns"),
    ],
)
async def test_refuses_by_name(admin: BrokerAdmin, tmp_path: Path, location: str, words: str) -> None:
    """A location that is not read here is refused with its kind and a remedy."""
    with pytest.raises(RefusedError, match=words):
        await PackageStore(admin, tmp_path).fetch(at(location))
    assert files(tmp_path) == []


async def test_reads_files_where_they_are_allowed(admin: BrokerAdmin, tmp_path: Path) -> None:
    """A file URL under the functions' directory is read, one that leads out of it is not, even by a link."""
    allowed = tmp_path / "functions"
    allowed.mkdir()
    (allowed / "hello.py").write_bytes(CODE)
    (tmp_path / "secret.py").write_bytes(CODE)
    (allowed / "link.py").symlink_to(tmp_path / "secret.py")
    store = PackageStore(admin, tmp_path / "cache", UrlPolicy(directory=allowed))
    assert (await store.fetch(at((allowed / "hello.py").as_uri()))).read_bytes() == CODE
    for url in (f"file://{allowed}/../secret.py", f"file://{allowed}/%2e%2e/secret.py", f"file://{allowed}/link.py"):
        with pytest.raises(RefusedError, match="not allowed"):
            await store.fetch(at(url))
    with pytest.raises(RefusedError, match="no file"):
        await store.fetch(at(f"file://{allowed}/absent.py"))


async def test_sees_a_changed_file(admin: BrokerAdmin, tmp_path: Path) -> None:
    """A file that changed is a new package; what runs keeps the old one's file."""
    source = tmp_path / "hello.py"
    source.write_bytes(CODE)
    store = PackageStore(admin, tmp_path / "cache", UrlPolicy(patterns=("file://.*",)))
    before = await store.fetch(at(source.as_uri()))
    source.write_bytes(CODE + b"# changed\n")
    after = await store.fetch(at(source.as_uri()))
    assert before.read_bytes() == CODE
    assert after.read_bytes() != CODE


class Origin:
    """A small HTTP server that answers each path with raw bytes."""

    def __init__(self, port: int, answers: dict[str, bytes]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answers = answers


@pytest.fixture
async def origin():  # noqa: ANN201
    answers: dict[str, bytes] = {}

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = await stream.receive()
            await stream.send(answers[head.split()[1].decode()])

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield Origin(listener.extra(anyio.abc.SocketAttribute.local_port), answers)
        tasks.cancel_scope.cancel()


def answer(content: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(content) if length is None else length) + content


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_downloads_what_is_allowed(admin: BrokerAdmin, origin: Origin, tmp_path: Path) -> None:
    """A URL that matches a pattern is downloaded, through redirects that match one too."""
    origin.answers |= {"/a/hello.py": answer(CODE), "/b/hello.py": moved("/a/hello.py")}
    store = PackageStore(admin, tmp_path, UrlPolicy((f"{origin.url}/.*",)))
    for path in ("a", "b"):
        assert (await store.fetch(at(f"{origin.url}/{path}/hello.py"))).read_bytes() == CODE


async def test_does_not_follow_elsewhere(admin: BrokerAdmin, origin: Origin, tmp_path: Path) -> None:
    """A redirect to an address that no pattern allows is refused, as is one without an end."""
    origin.answers |= {"/a/hello.py": moved("http://169.254.169.254/x"), "/b/hello.py": moved("/b/hello.py")}
    store = PackageStore(admin, tmp_path, UrlPolicy((f"{origin.url}/.*",)))
    with pytest.raises(RefusedError, match=r"169\.254\.169\.254"):
        await store.fetch(at(f"{origin.url}/a/hello.py"))
    with pytest.raises(RefusedError, match="redirected"):
        await store.fetch(at(f"{origin.url}/b/hello.py"))


async def test_leaves_nothing_of_a_cut_download(admin: BrokerAdmin, origin: Origin, tmp_path: Path) -> None:
    """A download that ends in the middle is an error of the moment and leaves no file; the next try is a new one."""
    origin.answers["/hello.py"] = answer(CODE[:10], len(CODE))
    store = PackageStore(admin, tmp_path, UrlPolicy((f"{origin.url}/.*",)))
    with pytest.raises(NotReadyError, match="could not be downloaded"):
        await store.fetch(at(f"{origin.url}/hello.py"))
    assert files(tmp_path) == []
    origin.answers["/hello.py"] = answer(CODE)
    assert (await store.fetch(at(f"{origin.url}/hello.py"))).read_bytes() == CODE


async def test_tells_what_is_not_there(admin: BrokerAdmin, origin: Origin, tmp_path: Path) -> None:
    """An answer of 404 is final, one of 500 is not."""
    origin.answers |= {
        "/a": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "/b": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    }
    store = PackageStore(admin, tmp_path, UrlPolicy((f"{origin.url}/.*",)))
    with pytest.raises(RefusedError, match="HTTP 404"):
        await store.fetch(at(f"{origin.url}/a"))
    with pytest.raises(NotReadyError, match="HTTP 500"):
        await store.fetch(at(f"{origin.url}/b"))


def test_locations() -> None:
    """A location of this worker's making is known as such, and no other is."""
    mine = own_location(NAME, 7, "0123456789ab")
    assert is_own(mine)
    assert kind_of_location(mine) == "package"
    assert not is_own("function://public/default/stored@7")
    assert not is_own("http://host/x@7-magnetar-0123456789ab")
    assert base_name("http://host/a/b%20c.py?x=1") == "b c.py"
    assert base_name(mine) == ""


@pytest.mark.parametrize("path", ["", "https://example.org/hello.py"], ids=["own", "elsewhere"])
async def test_keeps_a_lock_beside_a_package(admin: BrokerAdmin, code: Path, tmp_path: Path, path: str) -> None:
    """Every worker reads what one has kept, wherever the package itself is, and it goes with the package."""
    name = FunctionName(*NAME[:2], f"locked-{tmp_path.name}")  # the other tests leave packages of theirs
    here, there = PackageStore(admin, tmp_path / "here"), PackageStore(admin, tmp_path / "there")
    location = at(path) if path else await here.upload(name, 0, code, "hello.py")
    assert await there.lock(name, location) is None
    for lock in (b"one", b"two"):
        await here.keep_lock(name, location, lock)
    assert await there.lock(name, location) == await there.lock(name, location) == b"two"
    await here.delete(name, location)
    assert await here.lock(name, location) is None
    with pytest.raises(BrokerRefusedError, match="does not exist"):
        await admin.package_versions(f"function://{name.fqfn}")
