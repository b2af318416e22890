"""Functions that run as users of their own: what each of them can reach, and what the worker does in their directories."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from magnetar.host_users import unreachable
from mixed import create_in, exchange
from other_users import NUMBERS, SOMEBODY, OpenStandalone, needs_other_users, open_folder, open_python
from requirements import requires
from standalone import running, until

pytestmark = [needs_other_users, pytest.mark.timeout(300)]
CODE = """
import json, os
from pulsar import Function

def attempt(work):
    try:
        return work()
    except OSError as error:
        return type(error).__name__

class F(Function):
    def process(self, input, context):
        context.incr_counter("calls", 1)
        wanted = json.loads(input)
        if "link" in wanted:
            os.symlink(wanted["link"], wanted["at"])
        import colorsys
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        return json.dumps({
            "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
            "gains": status["NoNewPrivs"].strip(),
            "home": os.access(os.environ["HOME"], os.W_OK),
            "calls": context.get_counter("calls"),
            "read": {path: attempt(lambda: len(open(path).read())) for path in wanted.get("read", [])},
            "listed": {path: attempt(lambda: len(os.listdir(path))) for path in wanted.get("list", [])},
        })
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def started(folder: Path, **users: object) -> OpenStandalone:
    config = folder / "functions_worker.yml"
    logs = {"logDirectory": str(folder / "logs")}
    text = {
        "magnetar": {"users": users},
        "functionRuntimeFactoryConfigs": logs,
        "downloadDirectory": str(folder / "get"),
    }
    config.write_text(json.dumps(text))
    worker = OpenStandalone(folder / "data", "--config", str(config))
    worker.start()
    return worker


def ask(worker: OpenStandalone, name: str, **wanted: object) -> dict[str, Any]:
    """Have a function do something, and return what it tells of it."""
    consumer = worker.client.subscribe(f"{name}-out", "test")
    producer = worker.client.create_producer(f"{name}-in")
    producer.send(json.dumps(wanted).encode())
    message = consumer.receive(60_000)
    consumer.acknowledge(message)
    consumer.close()
    producer.close()
    told: dict[str, Any] = json.loads(message.data())
    return told


def create(worker: OpenStandalone, name: str) -> None:
    config = {"inputs": [f"{name}-in"], "output": f"{name}-out", "className": "function.F"}
    answer = worker.create(name, CODE, config)
    assert answer.status_code == 204, answer.text


def test_each_function_has_a_user_and_reaches_nothing_of_the_others(folder: Path) -> None:
    """Another user each, without groups or a way to gain rights; what is the other's or the worker's stays shut."""
    worker = started(folder, numbers=f"{NUMBERS[0]}-{NUMBERS[-1]}")
    try:
        for name in ("a", "b"):
            create(worker, name)
        found = running(worker, 2)
        theirs = folder / "logs/functions/public/default/b"
        closed = [str(folder / each) for each in ("data/broker", "data/packages", "data/state")]
        closed += [str(theirs), str(folder / "get/public/default/b/0"), str(folder / "data/users/public@default@b")]
        records = [str(each) for each in (folder / "data/instances").iterdir()]
        assert records
        told = ask(worker, "a", read=[*records, str(theirs / "b-0.log")], list=closed)
        uid = told["ids"][0][0]
        assert uid in NUMBERS
        assert told["ids"] == [[uid] * 3, [uid] * 3, []]
        assert told["gains"] == "1"
        assert told["home"]
        assert told["calls"] == 1
        assert set(told["read"].values()) == {"PermissionError"}
        assert set(told["listed"].values()) == {"PermissionError"}
        other = ask(worker, "b")["ids"][0][0]
        assert other in set(NUMBERS) - {uid}
        assert psutil.Process(found["public/default/a:0"]["pid"]).uids() == (uid, uid, uid)
        # What the worker reads it reads as the function's user: a link is no way around.
        secret = folder / "secret"
        secret.write_text("nobody's business\n")
        secret.chmod(0o600)
        log = folder / "logs/functions/public/default/a/a-0.log.1"
        ask(worker, "a", link=str(secret), at=str(log))
        lines = worker.http.get("/magnetar/v1/logs/public/default/a", params={"tail": 100}).raise_for_status().text
        assert "ready" in lines
        assert "nobody's business" not in lines
        assert worker.http.get("/admin/v3/functions/public/default/a/state/calls").json()["numberValue"] == 2
        os.kill(found["public/default/a:0"]["pid"], 9)
        until(lambda: running(worker, 2)["public/default/a:0"]["restarts"] == 1, "its death was not seen")
        assert worker.stop() == 0
        worker.start()
        running(worker, 2)
        again = ask(worker, "a")
        assert (again["ids"][0][0], again["calls"]) == (uid, 3)
        assert worker.http.delete("/admin/v3/functions/public/default/a").status_code == 204
        until(lambda: not (folder / "data/users/public@default@a").exists(), "its directory stays")
    finally:
        worker.stop()


def test_state_is_taken_along_and_a_thread_is_refused(folder: Path) -> None:
    """A function that had the worker's user finds its counters again; one that asks to be a thread is told why not."""
    worker = started(folder)
    try:
        create(worker, "a")
        assert ask(worker, "a")["calls"] == 1
        assert ask(worker, "a")["ids"][0][0] == 0
        assert worker.stop() == 0
        worker = started(folder, named={"public/default": str(SOMEBODY.uid)}, numbers="")
        running(worker, 1)
        told = ask(worker, "a")
        assert (told["ids"][0][0], told["calls"]) == (SOMEBODY.uid, 3)
        config = {"inputs": ["t-in"], "customRuntimeOptions": '{"magnetar": {"runtime": "thread"}}'}
        answer = worker.create("t", "def process(input):\n    pass\n", config)
        assert answer.status_code == 400
        assert "magnetar.users" in answer.json()["reason"]
    finally:
        worker.stop()


@requires("go")
def test_a_go_function_has_a_user_too(folder: Path) -> None:
    """Its process, its log and its binary are that user's, and it works."""
    worker = started(folder, numbers=f"{NUMBERS[0]}-{NUMBERS[-1]}", per="tenant")
    try:
        name = create_in(worker, "go")
        found = running(worker, 1)[f"public/default/{name}:0"]
        assert psutil.Process(found["pid"]).uids() == (NUMBERS[0],) * 3
        assert exchange(worker, name, "a", count=1) == ["a?!"]
        assert {Path(found["logFile"]).stat().st_uid, Path(found["logFile"]).parent.stat().st_uid} == {NUMBERS[0]}
        assert unreachable(SOMEBODY, Path(found["logFile"])) is None
    finally:
        worker.stop()


def test_a_worker_that_may_not_change_user_says_so(folder: Path) -> None:
    """It does not start, and one line says which setting asks for what it may not do."""
    config = folder / "functions_worker.yml"
    config.write_text(json.dumps({"magnetar": {"users": {"named": {"*": "nobody"}}}}))
    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, SOMEBODY.uid, SOMEBODY.gid)
    command = [*open_python(), "-m", "magnetar", "standalone", "--data-dir", str(data), "--config", str(config)]
    ports = [f"--{kind}-port=0" for kind in ("http", "broker", "health", "metrics")]
    done = subprocess.run(
        [*command, *ports],
        user=SOMEBODY.uid,
        group=SOMEBODY.gid,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "magnetar.users" in done.stderr
    assert "start it as root" in done.stderr
