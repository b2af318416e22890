"""The functions API of a real worker: its own broker, real instances, real HTTP."""

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from standalone import Standalone, standalone

BASE = "/admin/v3/functions/public/default"
EXCLAIM = "def process(input):\n    return f'{input}!'\n"
DEADLINE = 30.0
numbers = count()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("rest") / "data") as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"f{next(numbers)}"


def until(found: Callable[[], Any]) -> Any:
    """Ask again until there is an answer that is true."""
    deadline = time.monotonic() + DEADLINE
    while not (answer := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


def config(name: str, **more: Any) -> dict[str, Any]:
    return {
        "className": "function",
        "py": "function.py",
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
        "subscriptionPosition": "Earliest",
    } | more


def send(
    worker: Standalone, method: str, name: str, code: bytes | str | None, file: str = "function.py", /, **more: Any
) -> httpx.Response:
    parts: dict[str, Any] = {"functionConfig": (None, json.dumps(more), "application/json")}
    if code is not None:
        parts["data"] = (file, code.encode() if isinstance(code, str) else code, "application/octet-stream")
    return worker.http.request(method, f"{BASE}/{name}", files=parts)


def create(worker: Standalone, name: str, code: bytes | str = EXCLAIM, file: str = "function.py", **more: Any) -> None:
    answer = send(worker, "POST", name, code, file, **config(name, **more))
    assert answer.status_code == 204, answer.text


def running(worker: Standalone, name: str, instances: int = 1) -> dict[str, Any]:
    """Wait until all instances of a function run and return its status."""

    def found() -> dict[str, Any] | None:
        status = worker.http.get(f"{BASE}/{name}/status").json()
        return status if status["numRunning"] == instances == status["numInstances"] else None

    return dict(until(found))


def packages(worker: Standalone, name: str) -> list[str]:
    answer = worker.http.get(f"/admin/v3/packages/function/public/default/{name}")
    return list(answer.json()) if answer.status_code == 200 else []


def reason(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["reason"]
    return str(answer.json()["reason"])


def archive(**entries: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for entry, text in entries.items():
            made.writestr(entry.replace("__", "/").replace("_dot_", "."), text)
    return buffer.getvalue()


def test_a_function_from_birth_to_death(worker: Standalone, name: str) -> None:
    """Created, it runs and counts; deleted, its subscription and package are gone."""
    create(worker, name, parallelism=2, userConfig={"n": 1, "none": None, "big": 2**70})
    assert name in worker.http.get(BASE).json()
    assert running(worker, name, 2)["instances"][1]["status"]["workerId"] == "standalone"
    assert worker.http.post(f"{BASE}/{name}/trigger", files={"data": (None, "hello")}).text == "hello!"
    stats = worker.http.get(f"{BASE}/{name}/stats").json()
    assert stats["receivedTotal"] == stats["processedSuccessfullyTotal"] == 1
    assert stats["1min"] == stats["oneMin"]
    assert {each["instanceId"] for each in stats["instances"]} == {0, 1}
    one = [worker.http.get(f"{BASE}/{name}/{each}/stats").json()["receivedTotal"] for each in (0, 1)]
    assert sum(one) == 1
    found = worker.http.get(f"{BASE}/{name}").json()
    assert found["userConfig"] == {"n": 1, "none": None, "big": 2**70}
    assert found["runtime"] == "PYTHON"
    assert found["subscriptionPosition"] == "Earliest"
    assert worker.http.get(f"{BASE}/{name}/download").content == EXCLAIM.encode()
    assert len(packages(worker, name)) == 1
    subscriptions = f"/admin/v2/persistent/public/default/{name}-in/subscriptions"
    assert worker.http.get(subscriptions).json() == [f"public/default/{name}"]
    assert worker.http.delete(f"{BASE}/{name}").status_code == 204
    assert reason(worker.http.get(f"{BASE}/{name}"), 404) == f"Function {name} doesn't exist"
    assert packages(worker, name) == []
    assert until(lambda: worker.http.get(subscriptions).json() == [])


def test_a_kept_subscription_stays(worker: Standalone, name: str) -> None:
    """With cleanupSubscription false the backlog outlives the function, under the name it was given."""
    create(worker, name, cleanupSubscription=False, subName="mine")
    running(worker, name)
    worker.http.delete(f"{BASE}/{name}")
    until(lambda: not [each for each in worker.instances() if each["fqfn"].endswith(f"/{name}")])
    answer = worker.http.get(f"/admin/v2/persistent/public/default/{name}-in/subscriptions")
    assert answer.json() == ["mine"]


def test_stop_and_start(worker: Standalone, name: str) -> None:
    """A stopped instance stays stopped over a restart of the others; Pulsar's rules say what may be asked."""
    create(worker, name, parallelism=2)
    running(worker, name, 2)
    assert "never stopped" in reason(worker.http.post(f"{BASE}/{name}/start"))
    assert worker.http.post(f"{BASE}/{name}/1/stop").status_code == 204
    assert "already" in reason(worker.http.post(f"{BASE}/{name}/1/stop"))
    until(lambda: worker.http.get(f"{BASE}/{name}/status").json()["numRunning"] == 1)
    assert worker.http.post(f"{BASE}/{name}/restart").status_code == 204
    until(lambda: worker.http.get(f"{BASE}/{name}/status").json()["numRunning"] == 1)
    assert "stopped" in reason(worker.http.post(f"{BASE}/{name}/1/restart"))
    assert worker.http.get(f"{BASE}/{name}/1/status").json()["running"] is False
    assert worker.http.post(f"{BASE}/{name}/start").status_code == 204
    running(worker, name, 2)
    assert worker.http.post(f"{BASE}/{name}/stop", headers={"Content-Type": "application/json"}).status_code == 204
    until(lambda: worker.http.get(f"{BASE}/{name}/status").json()["numRunning"] == 0)
    assert "stopped" in reason(worker.http.post(f"{BASE}/{name}/restart"))


def test_restart_gives_a_new_process(worker: Standalone, name: str) -> None:
    """A restarted instance is another process."""
    create(worker, name)
    running(worker, name)
    path = f"/magnetar/v1/instances/public/default/{name}/0"
    before = worker.http.get(path).json()["pid"]
    assert worker.http.post(f"{BASE}/{name}/0/restart").status_code == 204
    running(worker, name)
    assert worker.http.get(path).json()["pid"] != before


def test_events_tell_what_happened_to_an_instance(worker: Standalone, name: str) -> None:
    """A restart is told as its steps, each with a number to go on from; an unknown instance is not found."""
    create(worker, name)
    running(worker, name)
    assert worker.http.post(f"{BASE}/{name}/0/restart").status_code == 204
    running(worker, name)
    path = f"/magnetar/v1/instances/public/default/{name}/0/events"
    until(lambda: [each["event"] for each in worker.http.get(path).json()].count("ready") == 2)
    told = worker.http.get(path).json()
    assert [each["event"] for each in told] == ["spawn", "ready", "stop", "end", "spawn", "ready"]
    assert [each["phase"] for each in told[2:4]] == ["stopping", "stopped"]
    assert set(told[0]) == {"number", "at", "time", "instanceId", "source", "event", "phase", "reason", "pid"}
    assert worker.http.get(path.replace("/0/", "/")).json() == told
    assert worker.http.get(path, params={"since": told[3]["number"]}).json() == told[4:]
    assert worker.http.get(path, params={"since": -1}).status_code == 400
    assert worker.http.get(path.replace("/0/", "/7/")).status_code == 404
    assert worker.http.get(path.replace(name, "unknown")).status_code == 404
    with worker.http.stream("GET", path, params={"follow": "true", "since": 4}) as answer:
        worker.http.post(f"{BASE}/{name}/0/restart")
        lines = (line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data:"))
        followed = [json.loads(next(lines)) for _ in range(6)]
    assert [(each["number"], each["event"]) for each in followed] == list(
        enumerate(["spawn", "ready", "stop", "end", "spawn", "ready"], 5)
    )
    assert f"instance=public/default/{name}:0 happened=stop phase=stopping" in worker.log()


def test_update_loses_nothing(worker: Standalone, name: str) -> None:
    """What an update does not name stays as it was, code and position included."""
    create(worker, name, userConfig={"a": 5}, secrets={"s": {"path": "p", "key": "k"}}, timeoutMs=15_000)
    before = worker.http.get(f"{BASE}/{name}").json()
    assert send(worker, "PUT", name, None, parallelism=2).status_code == 204
    assert worker.http.get(f"{BASE}/{name}").json() == {**before, "parallelism": 2}
    running(worker, name, 2)
    assert len(packages(worker, name)) == 1


def test_get_then_put_changes_nothing(worker: Standalone, name: str) -> None:
    """A config that is sent back as it came is accepted, with a warning, and no instance is restarted."""
    create(worker, name)
    running(worker, name)
    path = f"/magnetar/v1/instances/public/default/{name}/0"
    pid = worker.http.get(path).json()["pid"]
    answer = send(worker, "PUT", name, None, **worker.http.get(f"{BASE}/{name}").json())
    assert answer.status_code == 204
    assert "no change" in answer.headers["X-Magnetar-Warning"]
    assert worker.http.get(path).json()["pid"] == pid


def test_update_of_one_input_spec(worker: Standalone, name: str) -> None:
    """A change of one consumer's config is a change."""
    create(worker, name)
    specs = {f"{name}-in": {"receiverQueueSize": 7}}
    assert send(worker, "PUT", name, None, inputSpecs=specs).status_code == 204
    assert worker.http.get(f"{BASE}/{name}").json()["inputSpecs"][f"{name}-in"]["receiverQueueSize"] == 7


def test_update_of_the_code(worker: Standalone, name: str) -> None:
    """New code takes over, and the old package is gone."""
    create(worker, name)
    running(worker, name)
    old = packages(worker, name)
    code = EXCLAIM.replace("!", "?")
    assert send(worker, "PUT", name, code).status_code == 204
    assert worker.http.get(f"{BASE}/{name}/download").text == code
    until(lambda: worker.http.post(f"{BASE}/{name}/trigger", files={"data": (None, "hello")}).text == "hello?")
    assert len(packages(worker, name)) == 1
    assert packages(worker, name) != old


def test_update_judges_the_code_it_has(worker: Standalone, name: str) -> None:
    """A class name that the stored package lacks is refused, and the function goes on as it was."""
    create(worker, name)
    assert "no 'Other'" in reason(send(worker, "PUT", name, None, className="function.Other"))
    assert worker.http.get(f"{BASE}/{name}").json()["className"] == "function"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": ["another"]}, "Input Topics cannot be altered"),
        ({"runtime": "JAVA"}, "Runtime cannot be altered"),
        ({"processingGuarantees": "ATMOST_ONCE"}, "Processing Guarantees cannot be altered"),
        ({"autoAck": False}, "AutoAck cannot be altered"),
        ({"parallelism": 0}, "parallelism must be a positive number"),
    ],
)
def test_refuses_an_update(worker: Standalone, name: str, change: dict[str, Any], words: str) -> None:
    """What can't be altered is refused by name, and nothing is written."""
    create(worker, name)
    before = worker.http.get(f"{BASE}/{name}").json()
    assert words in reason(send(worker, "PUT", name, None, **change))
    assert worker.http.get(f"{BASE}/{name}").json() == before


def test_update_of_what_is_not_there(worker: Standalone) -> None:
    """Pulsar answers 400, not 404."""
    assert "doesn't exist" in reason(send(worker, "PUT", "absent", EXCLAIM, **config("absent")))


@pytest.mark.parametrize(
    ("code", "file", "change", "words"),
    [
        ("def process(input)\n  return 1\n", "function.py", {}, "function.py, line 1"),
        (EXCLAIM, "function.py", {"className": "function.Exclaim"}, "no 'Exclaim'"),
        ("x = 1\n", "function.py", {}, "no function process"),
        ("\x7fELF\0\0", "function.py", {}, "ELF program, no Python file"),
        ("#!/bin/sh\n", "function.sh", {}, "a script, no Python file"),
        ("", "function.py", {}, "empty"),
        (EXCLAIM, "function.zip", {}, "not a whole zip"),
        (EXCLAIM, "function.py", {"output": "same", "inputs": ["same"]}, "also being used as an input topic"),
        (EXCLAIM, "function.py", {"output": "persistent://public/default/same", "inputs": ["same"]}, "input topic"),
        (EXCLAIM, "function.py", {"inputs": []}, "No input topic"),
        (EXCLAIM, "function.py", {"inputs": ["a/b"]}, "Input topic 'a/b' is invalid"),
        (EXCLAIM, "function.py", {"parallelism": 0}, "parallelism"),
        (EXCLAIM, "function.py", {"parallelism": 1.5}, "parallelism is 1.5"),
        (EXCLAIM, "function.py", {"processingGuarantees": "SOMETIMES"}, "processingGuarantees is 'SOMETIMES'"),
        (EXCLAIM, "function.py", {"subscriptionPosition": "Middle"}, "subscriptionPosition is 'Middle'"),
        (EXCLAIM, "function.py", {"runtime": "COBOL"}, "runtime is 'COBOL'"),
        (EXCLAIM, "function.py", {"inputs": "no list"}, "inputs is 'no list'"),
        (EXCLAIM, "function.py", {"className": None}, "classname cannot be null"),
        (EXCLAIM, "function.py", {"customRuntimeOptions": '{"magnetar": {"runtime": "fork"}}'}, "fork"),
        (EXCLAIM, "function.py", {"customRuntimeOptions": '{"magnetar": {"runtme": "thread"}}'}, "runtme"),
        (EXCLAIM, "function.py", {"customRuntimeOptions": '{"magnetar": {"runtime": "kubernetes"}}'}, "not allowed"),
        (EXCLAIM, "function.jar", {"py": None, "jar": "function.jar"}, "Corrupted Jar File"),
        (EXCLAIM, "function", {"py": None, "go": "function"}, "a text, no Go program"),
        (
            EXCLAIM,
            "function",
            {"py": None, "go": "f", "customRuntimeOptions": '{"magnetar": {"runtime": "thread"}}'},
            "GO functions can't run in the thread runtime, which is for Python: use the process runtime",
        ),
    ],
)
def test_bad_input(worker: Standalone, name: str, code: str, file: str, change: dict[str, Any], words: str) -> None:
    """What can't run is refused with the field, the value and the remedy, before anything is stored."""
    sent = {key: value for key, value in config(name, **change).items() if value is not None}
    assert words in reason(send(worker, "POST", name, code, file, **sent))
    assert reason(worker.http.get(f"{BASE}/{name}"), 404)
    assert packages(worker, name) == []


def test_dependencies_in_a_thread(worker: Standalone, name: str) -> None:
    """A zip with dependencies is refused for the thread runtime, and told to use processes."""
    code = archive(f__src__function_dot_py=EXCLAIM, f__requirements_dot_txt="requests\n")
    options = '{"magnetar": {"runtime": "thread"}}'
    answer = send(worker, "POST", name, code, "f.zip", **config(name, customRuntimeOptions=options))
    assert "process runtime" in reason(answer)


def test_an_import_error_shows_in_the_status(worker: Standalone, name: str) -> None:
    """A function whose import fails is `failed`, with the traceback's last lines; others are not touched."""
    create(worker, name, "import no_such_module\ndef process(input):\n    return input\n")
    path = f"/magnetar/v1/instances/public/default/{name}/0"
    until(lambda: worker.http.get(path).json().get("phase") == "failed")
    status = worker.http.get(f"{BASE}/{name}/0/status").json()
    assert status["running"] is False
    assert "No module named 'no_such_module'" in status["error"]
    assert "function.py" in status["error"]


def test_needs_a_package(worker: Standalone, name: str) -> None:
    """Without code, without a config or in a namespace that is not there nothing is created."""
    assert "Package is not provided" in reason(send(worker, "POST", name, None, **config(name)))
    answer = worker.http.post(f"{BASE}/{name}", files={"data": ("function.py", EXCLAIM)})
    assert "config is not provided" in reason(answer)
    for path, words in (("nowhere/default", "Tenant does not exist"), ("public/nowhere", "Namespace does not exist")):
        parts = {"functionConfig": (None, json.dumps(config(name))), "data": ("function.py", EXCLAIM)}
        assert words in reason(worker.http.post(f"/admin/v3/functions/{path}/{name}", files=parts))


def test_a_name_is_taken_once(worker: Standalone, name: str) -> None:
    """Of many creates at once exactly one succeeds, the others are told, and one package is kept."""
    with ThreadPoolExecutor(12) as threads:
        sent = [threads.submit(send, worker, "POST", name, EXCLAIM, **config(name)) for _ in range(12)]
        answers = [each.result() for each in sent]
    refused = [answer for answer in answers if answer.status_code != 204]
    assert len(refused) == 11
    assert all("already exists" in reason(answer) for answer in refused)
    assert len(packages(worker, name)) == 1
    running(worker, name)


def test_a_deleted_name_is_free(worker: Standalone, name: str) -> None:
    """Deleted and created again, a function runs the new code."""
    create(worker, name)
    worker.http.delete(f"{BASE}/{name}")
    create(worker, name, EXCLAIM.replace("!", "?"))
    until(lambda: worker.http.post(f"{BASE}/{name}/trigger", content="again").text == "again?")


def test_both_spellings_of_a_pattern(worker: Standalone, name: str) -> None:
    """`isRegexPattern` (Gson's) and `regexPattern` (Jackson's and Go's) mean the same and come back as the latter."""
    for spelling in ("isRegexPattern", "regexPattern"):
        own = f"{name}-{spelling}"
        topic = f"persistent://public/default/{own}-.*"
        create(worker, own, inputs=None, inputSpecs={topic: {spelling: True}})
        assert worker.http.get(f"{BASE}/{own}").json()["inputSpecs"][topic]["regexPattern"] is True


def test_unknown_keys_are_named(worker: Standalone, name: str) -> None:
    """A key that nobody reads is accepted, as Pulsar does, and named with the one it may have meant."""
    answer = send(worker, "POST", name, EXCLAIM, **config(name, paralelism=3))
    assert answer.status_code == 204
    assert "'paralelism'; did you mean 'parallelism'?" in answer.headers["X-Magnetar-Warning"]


class TestTrigger:
    """What goes in and what comes out."""

    def test_several_at_once(self, worker: Standalone, name: str) -> None:
        """Each call gets the output of its own message."""
        create(worker, name, parallelism=2)
        running(worker, name, 2)

        def ask(number: int) -> str:
            return worker.http.post(f"{BASE}/{name}/trigger", files={"data": (None, str(number))}).text

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(ask, range(24))) == [f"{number}!" for number in range(24)]

    def test_a_file(self, worker: Standalone, name: str) -> None:
        """`dataStream` is read whole and wins over `data`; a bare body will do as well."""
        create(worker, name)
        running(worker, name)
        text = "x" * 300_000
        parts = {"data": (None, "no"), "dataStream": ("file", text, "application/octet-stream")}
        assert worker.http.post(f"{BASE}/{name}/trigger", files=parts).text == f"{text}!"
        assert worker.http.post(f"{BASE}/{name}/trigger", content="bare").text == "bare!"

    def test_without_an_output(self, worker: Standalone, name: str) -> None:
        """A function that has no output topic answers 204 at once."""
        create(worker, name, output=None)
        running(worker, name)
        assert worker.http.post(f"{BASE}/{name}/trigger", files={"data": (None, "x")}).status_code == 204

    def test_which_topic(self, worker: Standalone, name: str) -> None:
        """Several inputs need a topic, spelt as the config spells it."""
        create(worker, name, inputs=[f"{name}-a", f"{name}-b"])
        running(worker, name)
        path = f"{BASE}/{name}/trigger"
        assert "multiple topics" in reason(worker.http.post(path, files={"data": (None, "x")}))
        parts = {"data": (None, "x"), "topic": (None, "elsewhere")}
        assert "unidentified topic" in reason(worker.http.post(path, files=parts))
        parts["topic"] = (None, f"{name}-b")
        assert worker.http.post(path, files=parts).text == "x!"
        assert "no data" in reason(worker.http.post(path, files={"topic": (None, f"{name}-b")}))

    def test_an_unknown_function(self, worker: Standalone) -> None:
        """It is 404, as everywhere."""
        assert reason(worker.http.post(f"{BASE}/absent/trigger", files={"data": (None, "x")}), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/absent"),
        ("GET", "/absent/status"),
        ("GET", "/absent/stats"),
        ("GET", "/absent/0/status"),
        ("GET", "/absent/0/stats"),
        ("GET", "/absent/download"),
        ("DELETE", "/absent"),
        ("POST", "/absent/start"),
        ("POST", "/absent/stop"),
        ("POST", "/absent/restart"),
        ("POST", "/absent/0/start"),
        ("POST", "/absent/0/restart"),
        ("GET", "/absent/state/key"),
    ],
)
def test_unknown_functions_are_404(worker: Standalone, method: str, path: str) -> None:
    """The sentence is Pulsar's."""
    assert reason(worker.http.request(method, f"{BASE}{path}"), 404) == "Function absent doesn't exist"


def test_instances_that_are_not_there(worker: Standalone, name: str) -> None:
    """An instance beyond the last one is refused with the range that there is."""
    create(worker, name)
    for verb in ("status", "stats"):
        assert "0 to 0" in reason(worker.http.get(f"{BASE}/{name}/1/{verb}"))
    assert "0 to 0" in reason(worker.http.post(f"{BASE}/{name}/-1/stop"))
    assert "id is 'first'" in reason(worker.http.get(f"{BASE}/{name}/first/status"))


def test_a_key_that_nothing_is_kept_under_is_404(worker: Standalone, name: str) -> None:
    """The sentence is Pulsar's; a key may be named like a verb."""
    create(worker, name)
    for key in ("key", "status", "a/b"):
        assert reason(worker.http.get(f"{BASE}/{name}/state/{key}"), 404) == f"key '{key}' doesn't exist."


def test_every_refusal_has_a_reason(worker: Standalone) -> None:
    """What the framework refuses is told in the same words as everything else."""
    assert "/docs" in reason(worker.http.get("/nowhere"), 404)
    assert "DELETE is not for" in reason(worker.http.delete(BASE), 405)
    assert "multipart" in reason(worker.http.post(f"{BASE}/x", json={}), 415)
    assert "no JSON" in reason(worker.http.post(f"{BASE}/x", files={"functionConfig": (None, "{"), "a": (None, "b")}))
    for path in ("/admin/v2/functions/public/default/x", "/admin/functions/public/default"):
        assert "/admin/v3/functions" in reason(worker.http.get(path), 404)
    assert "no sinks" in reason(worker.http.get("/admin/v3/sink/public/default/x"), 404)
    assert "no sources" in reason(worker.http.get("/admin/v3/sources/public/default"), 404)


def test_a_cut_upload_leaves_nothing(worker: Standalone, name: str) -> None:
    """Half a form is refused, and the next try is a new one."""
    form = httpx.Request(
        "POST", "http://x", files={"functionConfig": (None, json.dumps(config(name))), "data": ("function.py", EXCLAIM)}
    )
    whole = form.read()
    for end in (len(whole) // 3, len(whole) * 2 // 3, len(whole) - 8):
        answer = worker.http.post(
            f"{BASE}/{name}", content=whole[:end], headers={"Content-Type": form.headers["Content-Type"]}
        )
        assert "cut short" in reason(answer)
    assert packages(worker, name) == []
    create(worker, name)


def test_plan_tells_and_changes_nothing(worker: Standalone, name: str) -> None:
    """A plan names fields and instances; the function stays as it is."""
    create(worker, name, parallelism=3, userConfig={"a": 1})
    before = worker.http.get(f"{BASE}/{name}").json()
    change = {"parallelism": 2, "userConfig": {"a": 2}}
    answer = worker.http.post(
        f"/magnetar/v1/plan/public/default/{name}", files={"functionConfig": (None, json.dumps(change))}
    ).json()
    assert answer["action"] == "update"
    assert {each["field"]: (each["before"], each["after"]) for each in answer["changes"]} == {
        "parallelism": (3, 2),
        "userConfig.a": (1, 2),
    }
    assert (answer["restarted"], answer["stopped"], answer["replacesPackage"]) == ([0, 1], [2], False)
    assert worker.http.get(f"{BASE}/{name}").json() == before


def test_logs_are_shown_and_followed(worker: Standalone, name: str) -> None:
    """What a function prints is there afterwards and arrives as it is printed."""
    create(worker, name, "def process(input):\n    print('got', input, flush=True)\n    return input\n")
    running(worker, name)
    path = f"/magnetar/v1/logs/public/default/{name}"
    ask = lambda text: worker.http.post(f"{BASE}/{name}/trigger", content=text)  # noqa: E731
    ask("one")

    def lines() -> list[str]:
        return [each["line"] for each in worker.http.get(path).json() if each["instanceId"] == 0]

    until(lambda: any("got one" in line for line in lines()))
    with worker.http.stream("GET", path, params={"follow": "true", "tail": 0}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        ask("two")
        for line in answer.iter_lines():
            if "got two" in line:
                assert json.loads(line.removeprefix("data: "))["instanceId"] == 0
                break
            assert "got one" not in line


def test_the_page_of_the_api_loads_nothing_from_elsewhere(worker: Standalone) -> None:
    """The page and its document are served by the worker alone."""
    page = worker.http.get("/docs").text
    assert "/openapi.json" in page
    assert "//" not in page.replace("http://127.0.0.1", "")
    document = worker.http.get("/openapi.json").json()
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    assert ("/admin/v3/functions/{tenant}/{namespace}/{name}", "post") in operations
    assert all("422" not in each["responses"] for path in document["paths"].values() for each in path.values())
    schema = worker.http.get("/magnetar/v1/schema/function").json()
    assert {"className", "inputSpecs", "parallelism"} <= set(schema["properties"])


def test_foreign_pages_are_refused(worker: Standalone, name: str) -> None:
    """A form that another page posts, and a name that was rebound to loopback, get 403; the worker's own pages pass."""
    own = str(worker.http.base_url).rstrip("/")
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        parts = {"functionConfig": (None, json.dumps(config(name))), "data": ("function.py", EXCLAIM)}
        reason(worker.http.post(f"{BASE}/{name}", files=parts, headers=headers), 403)
        reason(worker.http.delete("/admin/v2/tenants/public", headers=headers), 403)
    assert reason(worker.http.get(f"{BASE}/{name}"), 404)
    assert reason(worker.http.delete(f"{BASE}/{name}", headers={"Origin": own}), 404)


def test_the_broker_is_behind_the_same_address(worker: Standalone, name: str) -> None:
    """The broker's admin API answers through the worker, refusals and uploads included."""
    assert worker.http.get("/admin/v2/clusters").json() == ["standalone"]
    assert worker.http.put(f"/admin/v2/persistent/public/default/{name}").status_code == 204
    assert worker.http.put(f"/admin/v2/persistent/public/default/{name}").status_code == 409
    path = f"/admin/v3/packages/function/public/default/{name}/v1"
    content = b"x" * 3_000_000
    parts = {"metadata": (None, "{}", "application/json"), "file": ("x", content)}
    assert worker.http.post(path, files=parts).status_code == 204
    assert worker.http.get(path).content == content


def test_a_package_by_its_address(worker: Standalone, name: str) -> None:
    """A function made of a package's URL runs it, and leaves it where it is when it goes."""
    url = f"function://public/default/{name}-package@v1"
    parts = {"data": ("function.py", EXCLAIM), "path": (None, url)}
    assert worker.http.post("/admin/v3/functions/upload", files=parts).status_code == 204
    answer = worker.http.post(
        f"{BASE}/{name}", files={"url": (None, url), "functionConfig": (None, json.dumps(config(name)))}
    )
    assert answer.status_code == 204, answer.text
    running(worker, name)
    assert worker.http.post(f"{BASE}/{name}/trigger", content="by url").text == "by url!"
    assert worker.http.delete(f"{BASE}/{name}").status_code == 204
    assert worker.http.get("/admin/v3/functions/download", params={"path": url}).text == EXCLAIM
    refused = {
        "http://127.0.0.1/x.py": "UrlPatterns",
        "file:///etc/passwd": "UrlPatterns",
        "ftp://x/y": "write function",
    }
    for address, words in {**refused, "builtin://x": "No Function archive"}.items():
        form = {"url": (None, address), "functionConfig": (None, json.dumps(config(name)))}
        assert words in reason(worker.http.post(f"{BASE}/{name}", files=form))


def test_what_a_worker_tells(worker: Standalone, name: str) -> None:
    """The worker's own resources have Pulsar's shapes, under `/admin/v2` and bare `/admin`."""
    create(worker, name)
    running(worker, name)
    port = httpx.URL(worker.addresses["http"]).port
    me = {"workerId": "standalone", "workerHostname": "localhost", "port": port}
    for base in ("/admin/v2", "/admin"):
        assert worker.http.get(f"{base}/worker/cluster").json() == [me]
        assert worker.http.get(f"{base}/worker/cluster/leader").json() == me
        assert worker.http.get(f"{base}/worker/cluster/leader/ready").json() is True
        assert f"public/default/{name}:0" in worker.http.get(f"{base}/worker/assignments").json()["standalone"]
        assert worker.http.get(f"{base}/worker/connectors").json() == []
        stats = worker.http.get(f"{base}/worker-stats/functionsmetrics").json()
        assert f"public/default/{name}:0" in {each["name"] for each in stats}
        assert worker.http.get(f"{base}/worker-stats/metrics").json()[0]["metrics"]
    assert set(worker.http.get("/version").json()) == {"version"}
    assert worker.http.get("/initialized").json() is True
    assert "pulsar_function_worker_instance_count" in worker.http.get("/metrics").text


def test_curl_lines_of_the_manual(worker: Standalone, name: str, tmp_path: Path) -> None:
    """What Pulsar's manual types into a shell works as it is typed."""
    (tmp_path / "function.py").write_text(EXCLAIM)
    url = f"{worker.addresses['http']}{BASE}/{name}"

    def curl(*arguments: str) -> str:
        done = subprocess.run(
            ["curl", "-sS", "--fail-with-body", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    made = json.dumps(config(name))
    curl("-X", "POST", "-F", f"functionConfig={made};type=application/json", "-F", "data=@function.py", url)
    running(worker, name)
    assert json.loads(curl("-X", "GET", f"{url}/status"))["numRunning"] == 1
    assert curl("-X", "POST", "-F", "data=hi", f"{url}/trigger") == "hi!"
    curl("-X", "PUT", "-F", 'functionConfig={"parallelism":2}', url)
    curl("-X", "POST", f"{url}/restart")
    curl("-X", "DELETE", url)
    assert json.loads(curl(f"{worker.addresses['http']}{BASE}")).count(name) == 0


def test_a_worker_keeps_what_it_was_given(tmp_path: Path) -> None:
    """After a restart the functions are there, and the cache needs no second download."""
    with standalone(tmp_path / "data") as worker:
        create(worker, "kept")
        running(worker, "kept")
        worker.stop()
        worker.start()
        running(worker, "kept")
        assert worker.http.post(f"{BASE}/kept/trigger", content="x").text == "x!"
    assert not list((tmp_path / "data").rglob("incoming/*"))
