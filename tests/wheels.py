"""Wheels made in a test, and a directory of them that uv takes packages from: no network is needed."""

import base64
import contextlib
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def wheel(name: str, version: str, modules: Mapping[str, str], requires: str = "") -> tuple[str, bytes]:
    """Return a pure wheel's file name and content; `requires` is one line of Requires-Dist, or none."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    entries = {
        **modules,
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in entries.items())
    entries[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    return f"{name}-{version}-py3-none-any.whl", archive(entries)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def archive(entries: Mapping[str, str | bytes]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return buffer.getvalue()


def index(directory: Path, *wheels: tuple[str, bytes]) -> str:
    """Lay wheels out as a package index below a directory; returns its URL."""
    for name, content in wheels:
        project = directory / name.partition("-")[0].replace("_", "-")
        project.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
        links = "".join(f'<a href="{each.name}">{each.name}</a>' for each in sorted(project.glob("*.whl")))
        (project / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    return directory.as_uri()


class HeldIndex(BaseHTTPRequestHandler):
    """An index with one wheel, which is told of at once and given when `release` is set."""

    wheel: tuple[str, bytes]
    release: threading.Event

    def do_GET(self) -> None:
        name, content = self.wheel
        project = name.partition("-")[0]
        if self.path == f"/{project}/":
            digest = hashlib.sha256(content).hexdigest()
            link = f'<a href="/{name}#sha256={digest}" data-dist-info-metadata="true">{name}</a>'
            self._answer(200, "text/html", f"<!DOCTYPE html><html><body>{link}</body></html>".encode())
        elif self.path == f"/{name}.metadata":
            with zipfile.ZipFile(io.BytesIO(content)) as opened:
                entry = next(each for each in opened.namelist() if each.endswith("METADATA"))
                self._answer(200, "text/plain", opened.read(entry))
        elif self.path == f"/{name}":
            self.release.wait(60)
            self._answer(200, "application/octet-stream", content)
        else:
            self._answer(404, "text/plain", b"")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def held_index(given: tuple[str, bytes]) -> Iterator[tuple[str, threading.Event]]:
    """Serve an index on loopback; gives its URL and what lets its wheel go."""
    release = threading.Event()
    handler = type("Handler", (HeldIndex,), {"wheel": given, "release": release})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", release
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()
