"""A real browser: the page of the API, and a page of somebody else that tries to drive the worker."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from requirements import requires
from standalone import Standalone, standalone

pytestmark = [requires("browser"), pytest.mark.timeout(180)]
PATH = "/admin/v3/functions/public/default/driven"
ATTACK = """<!doctype html><title>waiting</title><pre id=told></pre><script>
const form = new FormData();
form.append("functionConfig", JSON.stringify({className: "driven", runtime: "PYTHON", inputs: ["driven-in"]}));
form.append("data", new Blob(["def process(input):\\n    return input\\n"]), "driven.py");
const told = {};
async function attempt(name, path, options) {
  try {
    const answer = await fetch("WORKER" + path, options);
    told[name] = answer.type + " " + answer.status;
  } catch (error) { told[name] = String(error.name); }
}
(async () => {
  await attempt("read", "/admin/v3/functions/public/default");
  await attempt("form", "PATH", {method: "POST", mode: "no-cors", body: form});
  await attempt("create", "PATH", {method: "POST", body: form});
  await attempt("delete", "/admin/v3/functions/public/default/known", {method: "DELETE"});
  document.getElementById("told").textContent = JSON.stringify(told);
})();
</script>"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("browser") / "data") as running:
        yield running


def shown(url: str, home: Path) -> str:
    """Return a page as the browser has it once its scripts have run; names other than this host's lead nowhere."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += [f"--user-data-dir={home / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    command += ["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextmanager
def another_origin(page: str) -> Iterator[str]:
    """Serve a page from another port of this host, which is another origin; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_the_page_of_the_api_shows_every_operation(worker: Standalone, tmp_path: Path) -> None:
    """What it is made of comes from the worker alone, and each operation of the document stands in it."""
    page = shown(f"{worker.addresses['http']}/docs", tmp_path)
    document = worker.http.get("/openapi.json").json()
    assert page.count("<details>") == sum(len(operations) for operations in document["paths"].values())
    assert "/admin/v3/functions/{tenant}/{namespace}/{name}/trigger" in page
    assert "Loading" not in page


def test_a_page_of_another_origin_drives_nothing(worker: Standalone, tmp_path: Path) -> None:
    """It can neither read, nor create by a form that needs no leave, nor delete."""
    code = "def process(input):\n    return input\n"
    assert worker.create("known", code, {"inputs": ["known-in"]}).status_code == 204
    page = ATTACK.replace("WORKER", worker.addresses["http"]).replace("PATH", PATH)
    with another_origin(page) as url:
        dom = shown(url, tmp_path)
    told = json.loads(dom.partition('<pre id="told">')[2].partition("</pre>")[0])
    assert told == {"read": "TypeError", "form": "opaque 0", "create": "TypeError", "delete": "TypeError"}
    assert worker.http.get("/admin/v3/functions/public/default").json() == ["known"]
