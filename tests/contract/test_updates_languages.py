"""Updates that can't be made of functions in every language: the version before goes on, under the next worker as well."""

from pathlib import Path
from typing import Any

import pytest
from mixed import DEADLINE, PYTHON, create_in, eventually, exchange, instance_of, update_ending, wait_phase
from requirements import requires
from standalone import Standalone, standalone, until
from surviving import kill
from toolchains import CACHE, java_installation

pytestmark = pytest.mark.timeout(300)
FALSE = Path("/bin/false")


def until_come_back(worker: Standalone, name: str) -> dict[str, Any]:
    """Wait until the version before runs, with the reason in status."""

    def look() -> dict[str, Any] | None:
        found = instance_of(worker, name)
        fine = found and found["phase"] == "running" and "could not be made" in (found["reason"] or "")
        return found if fine else None

    found: dict[str, Any] = eventually(
        look, lambda: f"it did not come back: {instance_of(worker, name)}\n{worker.log()[-2000:]}"
    )
    return found


def check_that_it_comes_back(worker: Standalone, name: str) -> None:
    """The version before works; a killed worker's successor runs it at once, and a good update is made."""
    until_come_back(worker, name)
    assert exchange(worker, name, "a", count=1) == ["a?!"]
    kill(worker)
    worker.start()
    found = until_come_back(worker, name)
    assert found["restarts"] == 0
    events = worker.http.get(f"/magnetar/v1/instances/public/default/{name}/0/events").json()
    assert [each["event"] for each in events] == ["spawn", "ready"]
    assert "b?!" in outputs_until(worker, name, "b", "b?!")


def outputs_until(worker: Standalone, name: str, text: str, last: str) -> list[str]:
    """Send a text and return the outputs until one of them is `last`.

    What was not acknowledged when the worker was killed comes again, maybe in one batch with what follows: of such a batch
    nothing is acknowledged before all is, so one consumer reads on.
    """
    consumer = worker.client.subscribe(f"{name}-out", "test")
    worker.client.create_producer(f"{name}-in").send(text.encode())
    outputs: list[str] = []
    while last not in outputs:
        message = consumer.receive(int(DEADLINE * 1000))
        consumer.acknowledge(message)
        outputs.append(message.data().decode())
    consumer.close()
    return outputs


@requires("go")
def test_a_go_function_comes_back_to_the_version_before(tmp_path: Path) -> None:
    """A program that ends at once is given up after three tries."""
    with standalone(tmp_path / "data") as worker:
        name = create_in(worker, "go")
        wait_phase(worker, name, "running")
        worker.update(name, {}, "exclaim", FALSE.read_bytes())
        check_that_it_comes_back(worker, name)


@requires("java")
@requires("maven")
def test_a_java_function_comes_back_to_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags that the JVM refuses are given up after three tries; another user config then takes effect."""
    java_installation()
    monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    with standalone(tmp_path / "data") as worker:
        name = create_in(worker, "java")
        wait_phase(worker, name, "running")
        worker.update(name, {"runtimeFlags": "-XX:+NoSuchFlagAtAll"})
        check_that_it_comes_back(worker, name)
        assert "NoSuchFlagAtAll" in instance_of(worker, name)["reason"]  # type: ignore[index]


def test_a_python_function_goes_on_under_the_next_worker(tmp_path: Path) -> None:
    """An import error is no death of the version before; a good update and a restart are made as if nothing had been."""
    with standalone(tmp_path / "data") as worker:
        name = create_in(worker, "python")
        wait_phase(worker, name, "running")
        worker.update(name, {}, "exclaim.py", b"import nowhere_at_all\n" + PYTHON.encode())
        check_that_it_comes_back(worker, name)
        assert list((worker.data / "updates").iterdir())
        worker.update(name, {}, "exclaim.py", PYTHON.encode())
        until(lambda: not instance_of(worker, name)["reason"], "the good update is not made")  # type: ignore[index]
        update_ending(worker, name, "!!")
        until(lambda: exchange(worker, name, "c", count=1) == ["c!!"], "the next update is not made")
        assert not list((worker.data / "updates").iterdir())
