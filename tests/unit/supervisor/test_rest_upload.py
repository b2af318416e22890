import hashlib
import secrets
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from magnetar.errors import RefusedError, TimedOutError
from magnetar.rest.errors import add_error_handlers
from magnetar.rest.texts import header_value, read_json
from magnetar.rest.upload import Pace, blocks, receive_form
from magnetar.web import bind, serve
from starlette.types import Message

pytestmark = pytest.mark.anyio
LIMIT = 8 * 2**20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Receiver:
    """A server that answers with what it understood of a form."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.directory = directory
        self.left = anyio.Event()

    async def raw(self, body: bytes, content_type: str = "multipart/form-data; boundary=B") -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.post(self.url, content=body, headers={"Content-Type": content_type})


@pytest.fixture
async def receiver(tmp_path: Path):  # noqa: ANN201
    app = FastAPI()
    add_error_handlers(app, "http")

    @app.post("/")
    async def echo(request: Request) -> dict[str, object]:
        try:
            incoming = lambda: tmp_path / secrets.token_hex(4)  # noqa: E731
            async with receive_form(request, file="data", incoming=incoming, limit=LIMIT) as form:
                content = form.upload.path.read_bytes() if form.upload else None
                return {
                    "fields": {name: value.decode() for name, value in form.fields.items()},
                    "file": form.upload.name if form.upload else None,
                    "digest": None if content is None else hashlib.sha256(content).hexdigest(),
                }
        finally:
            receiver.left.set()

    async with serve(app, bind("test", "127.0.0.1", 0)) as port:
        receiver = Receiver(port, tmp_path)
        yield receiver


def part(head: str, content: bytes) -> bytes:
    return f"--B\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


@pytest.mark.parametrize(
    ("head", "name", "file"),
    [
        ('Content-Disposition: form-data; name="functionConfig"', "functionConfig", None),
        ('Content-Disposition: form-data; name="functionConfig" ', "functionConfig", None),
        ("Content-Disposition: form-data; name=functionConfig", "functionConfig", None),
        ('content-disposition:form-data;name="functionConfig"\r\nContent-Type: text/plain', "functionConfig", None),
        ('Content-Type: application/json\r\nContent-Disposition: form-data; name="url"', "url", None),
        ('Content-Disposition: form-data; name="data"; filename="a b.py"', "data", "a b.py"),
        ('Content-Disposition: form-data; name="data"; filename="a\\"b.py" ', "data", 'a"b.py'),
        ('Content-Disposition: form-data; filename="hello.py"; name="data"', "data", "hello.py"),
        ("Content-Disposition: form-data; name=\"data\"; filename*=UTF-8''h%C3%A9.py", "data", "hé.py"),
        ('Content-Disposition: form-data; name="data"', "data", ""),
    ],
)
async def test_reads_parts_as_clients_write_them(receiver: Receiver, head: str, name: str, file: str | None) -> None:
    """Trailing spaces, bare names, missing types, any order: what real clients send is understood."""
    answer = await receiver.raw(part(head, b"content") + b"--B--\r\n")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["file"] == file
    assert found["fields"] == ({name: "content"} if file is None else {})
    assert (found["digest"] == hashlib.sha256(b"content").hexdigest()) == (file is not None)


async def test_receives_a_large_file_whole(receiver: Receiver) -> None:
    """A file of many blocks comes whole, and nothing stays on disk once the request is done."""
    content = secrets.token_bytes(5 * 2**20) + b"\r\n--B-not-the-end\r\n"
    async with httpx.AsyncClient() as client:
        answer = await client.post(receiver.url, files={"functionConfig": (None, "{}"), "data": ("x", content)})
    assert answer.json()["digest"] == hashlib.sha256(content).hexdigest()
    assert list(receiver.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"", "application/json", 415, "multipart/form-data"),
        (b"", "", 415, "multipart/form-data"),
        (b"", "multipart/form-data", 400, "boundary"),
        (b"", "multipart/form-data; boundary=B", 400, "cut short"),
        (
            b"--B\r\nContent-Disposition: form-data; name=x\r\n\r\nabc",
            "multipart/form-data; boundary=B",
            400,
            "cut short",
        ),
        (b"--B\r\nContent-Disp", "multipart/form-data; boundary=B", 400, "cut short"),
        (b"no form at all", "multipart/form-data; boundary=B", 400, "form"),
        (b"--B\r\n\r\nnameless\r\n--B--\r\n", "multipart/form-data; boundary=B", 200, ""),
    ],
)
async def test_refuses_what_is_no_whole_form(
    receiver: Receiver, body: bytes, content_type: str, status: int, words: str
) -> None:
    """A form that is cut, malformed or of another type is refused with a reason."""
    answer = await receiver.raw(body, content_type)
    assert answer.status_code == status
    assert words in answer.json().get("reason", "")
    assert list(receiver.directory.iterdir()) == []


async def test_refuses_too_much(receiver: Receiver) -> None:
    """A file above the limit and a field that is no field are refused with 413, and nothing is kept."""
    for head, size in (("name=data; filename=x", LIMIT + 1), ("name=functionConfig", 5 * 2**20)):
        answer = await receiver.raw(part(f"Content-Disposition: form-data; {head}", bytes(size)) + b"--B--\r\n")
        assert answer.status_code == 413
        assert "bytes" in answer.json()["reason"]
    assert list(receiver.directory.iterdir()) == []


async def test_refuses_a_doubled_part(receiver: Receiver) -> None:
    """Two packages in one request are refused: which one is meant can't be known."""
    twice = part("Content-Disposition: form-data; name=data; filename=x", b"1") * 2
    answer = await receiver.raw(twice + b"--B--\r\n")
    assert answer.status_code == 400
    assert "twice" in answer.json()["reason"]


async def test_forgets_an_upload_whose_client_left(receiver: Receiver) -> None:
    """A connection that breaks in the middle of a file leaves nothing behind."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 9000000\r\n\r\n"
    async with await anyio.connect_tcp("127.0.0.1", receiver.port) as stream:
        await stream.send(head + part("Content-Disposition: form-data; name=data; filename=x", bytes(2**21)))
        with anyio.fail_after(10):
            while not list(receiver.directory.iterdir()):
                await anyio.lowlevel.checkpoint()
    with anyio.fail_after(10):
        await receiver.left.wait()
    assert list(receiver.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "no JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": "\\ud800"}', "UTF-8"),
        (b"\xff", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b"1" * 5000, "no JSON"),
    ],
)
def test_refuses_json_that_can_not_be_kept(text: bytes, words: str) -> None:
    """What parses but can't be stored is refused like what does not parse."""
    with pytest.raises(RefusedError, match=words):
        read_json(text, "functionConfig")


def test_reads_json_with_a_mark() -> None:
    """A byte order mark, as editors on Windows write it, is passed over."""
    assert read_json(b'\xef\xbb\xbf{"a": 1}', "functionConfig") == {"a": 1}


@given(st.text())
def test_any_text_fits_a_header(text: str) -> None:
    """A warning becomes one line of ASCII, whatever it quotes."""
    value = header_value(text)
    assert value.isascii()
    assert value.isprintable() or not value


def body_of(sizes: Iterable[int], *, ends: bool) -> Request:
    """A request whose body comes in blocks of some sizes; then it ends, or its client says nothing more."""
    left = iter(sizes)

    async def receive() -> Message:
        await anyio.lowlevel.checkpoint()
        size = next(left, None)
        if size is None and not ends:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": b"x" * (size or 0), "more_body": size is not None}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_an_upload_that_keeps_its_pace_may_take_as_long_as_it_likes() -> None:
    """What is waited for counts against an upload only until the least has come."""
    with anyio.fail_after(60):
        came = [block async for block in blocks(body_of([10] * 50, ends=True), Pace(30, 10))]
    assert sum(map(len, came)) == 500


@pytest.mark.parametrize("sizes", [[], repeat(1)], ids=["silent", "trickling"])
async def test_an_upload_that_comes_too_slowly_is_given_up(sizes: Iterable[int]) -> None:
    """A client that sends less than the least in its time is told so, whether it still sends something or not."""
    with anyio.fail_after(60), pytest.raises(TimedOutError, match=r"^\d+ bytes of the upload came in 0.1 s"):
        async for _ in blocks(body_of(sizes, ends=False), Pace(0.1, 2**40)):
            pass
