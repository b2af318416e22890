"""The OpenAPI document, held to a worker that is really asked: schemathesis sends what it allows and what it forbids.

`scripts/soak schema [EXAMPLES]` sends more; a failure prints the curl line that repeats it.
"""

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from secured import Secured, secured, token_of
from standalone import until

EXAMPLES = os.environ.get("MAGNETAR_SCHEMA_EXAMPLES", "4")
PATIENCE = 40.0 * max(1, int(EXAMPLES) // 4)
PLAIN = """
[checks]
# What the document allows may still be refused: it does not know which functions there are, nor how few workers.
positive_data_acceptance.enabled = false

[[operations]]
include-path = "/admin/v3/functions/builtins/reload"
# GET lists, at this very path, the functions of the namespace `builtins/reload`.
checks.allow_header_conformance.enabled = false
"""
OF_A_FUNCTION = """
[parameters]
"path.tenant" = "public"
"path.namespace" = "default"
"path.name" = "known"
"path.id" = 0
"query.follow" = false
"""
CODE = b"def process(input):\n    return input\n"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Secured]:
    with secured(tmp_path) as running:
        yield running


def explored(worker: Secured, config: str, *arguments: str) -> str:
    """Let schemathesis ask everything as a super user; returns what it printed, which is asserted to be no failure."""
    file = worker.worker.data / "schemathesis.toml"
    file.write_text(config)
    command = ["schemathesis", "--config-file", str(file), "run", f"{worker.url}/openapi.json"]
    command += [
        "--header",
        f"Authorization: Bearer {token_of('root')}",
        "--tls-verify",
        str(worker.authority.certificate),
    ]
    command += ["--max-examples", EXAMPLES, "--seed", "1", "--no-shrink", "--continue-on-failure", "--no-color"]
    command += ["--request-timeout", "60", "--suppress-health-check", "all", *arguments]
    done = subprocess.run(
        command, cwd=worker.worker.data, capture_output=True, text=True, check=False, timeout=10 * PATIENCE
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    return done.stdout


@pytest.mark.timeout(20 * PATIENCE)
def test_any_request(worker: Secured) -> None:
    """Every answer is in the document by status, type, form and headers; none is a defect, none is for strangers."""
    explored(worker, PLAIN)


@pytest.mark.timeout(20 * PATIENCE)
def test_requests_about_a_function(worker: Secured) -> None:
    """So it is for a function that is there and runs, and it is there and runs afterwards."""
    trusted = ssl.create_default_context(cafile=str(worker.authority.certificate))
    headers = {"Authorization": f"Bearer {token_of('root')}"}
    path = "/admin/v3/functions/public/default/known"
    with httpx.Client(base_url=worker.url, verify=trusted, headers=headers, timeout=30) as http:
        config = {"runtime": "PYTHON", "className": "known", "inputs": ["known-in"], "output": "known-out"}
        parts = {"functionConfig": (None, json.dumps(config)), "data": ("known.py", CODE)}
        assert http.post(path, files=parts).status_code == 204
        explored(worker, PLAIN + OF_A_FUNCTION, "--exclude-method", "DELETE", "--exclude-path-regex", "/(stop|drain)$")
        until(lambda: http.get(f"{path}/status").json()["numRunning"] == 1, "the function does not run")
