import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from magnetar_instance import download as module
from magnetar_instance.download import DownloadError, download, parse


class Worker(http.server.BaseHTTPRequestHandler):
    """A worker's REST API as far as downloads go."""

    answers: list[int]
    seen: list[tuple[str, str | None]]

    def __init__(self, answers: list[int], seen: list[tuple[str, str | None]], *rest: object) -> None:
        self.answers, self.seen = answers, seen
        super().__init__(*rest)

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        status = self.answers.pop(0)
        body = b"code" if status == 200 else json.dumps({"reason": "no such function"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class Served:
    def __init__(self) -> None:
        self.answers: list[int] = []
        self.seen: list[tuple[str, str | None]] = []
        handler = functools.partial(Worker, self.answers, self.seen)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def worker() -> Iterator[Served]:
    served = Served()
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


def run(worker: Served, target: Path, *options: str) -> None:
    words = ["--admin-url", worker.url, *options, "functions", "download", "--tenant", "t", "--namespace", "n"]
    download(parse([*words, "--name", "a b", "--destination-file", str(target)]))


def test_a_package_is_put_in_its_place(worker: Served, tmp_path: Path) -> None:
    """Folders are made, names are encoded, nothing else is left behind."""
    worker.answers.append(200)
    run(worker, tmp_path / "down" / "f.py")
    assert (tmp_path / "down" / "f.py").read_bytes() == b"code"
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["f.py"]
    assert worker.seen == [("/admin/v3/functions/t/n/a%20b/download", None)]


@pytest.mark.parametrize("form", ["token:{}", "file://{file}", "{}"])
def test_tokens_are_shown_in_every_form_of_pulsars_client(worker: Served, tmp_path: Path, form: str) -> None:
    """As text after a scheme, from a file, or bare."""
    (tmp_path / "token").write_text("jwt\n")
    worker.answers.append(200)
    text = form.format("jwt", file=tmp_path / "token")
    plugin = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
    run(worker, tmp_path / "f.py", "--auth-plugin", plugin, "--auth-params", text)
    assert worker.seen[0][1] == "Bearer jwt"


def test_a_refusal_is_told_at_once_and_a_failure_is_tried_again(
    worker: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4xx is final and carries the worker's reason; 5xx may pass."""
    monkeypatch.setattr(module, "_PATIENCE", (0.0, 0.0))
    worker.answers.extend([503, 200])
    run(worker, tmp_path / "f.py")
    worker.answers.append(404)
    with pytest.raises(DownloadError, match=r"answers 404.*no such function"):
        run(worker, tmp_path / "g.py")
    assert len(worker.seen) == 3
    worker.answers.extend([503, 503, 503])
    with pytest.raises(DownloadError, match=r"could not be had: 503"):
        run(worker, tmp_path / "h.py")
    assert not list(tmp_path.glob(".*"))
