import pytest
from magnetar.coordination.base import DrainState, DrainStatus
from magnetar.coordination.drains import Drains
from magnetar.errors import BusyError, DrainedError, RefusedError

FLEET = ("a", "b", "c")


def test_a_drain_goes_through_its_states() -> None:
    """Not run, running, done; the worker is closed from the beginning on."""
    drains = Drains()
    assert drains.status("a", FLEET) == DrainStatus(DrainState.NOT_RUN)
    drains.begin("a", FLEET)
    assert drains.status("a", FLEET) == DrainStatus(DrainState.RUNNING)
    assert drains.workers == {"a"}
    drains.end("a")
    assert drains.status("a", FLEET) == DrainStatus(DrainState.SUCCESS)
    assert drains.workers == {"a"}


def test_one_at_a_time() -> None:
    """While one worker is being drained no other is, nor the same again."""
    drains = Drains()
    drains.begin("a", FLEET)
    for worker in ("a", "b"):
        with pytest.raises(BusyError, match="worker a"):
            drains.begin(worker, FLEET)


def test_a_failed_drain_tells_why_opens_the_worker_and_may_be_tried_again() -> None:
    """Nothing is kept of it but the reason."""
    drains = Drains()
    drains.begin("a", FLEET)
    drains.end("a", "the broker is away")
    assert drains.status("a", FLEET) == DrainStatus(DrainState.ERROR, "the broker is away")
    assert not drains.workers
    drains.begin("a", FLEET)


def test_the_last_worker_that_takes_instances_stays() -> None:
    """Somebody must run them."""
    drains = Drains()
    for worker in ("a", "b"):
        drains.begin(worker, FLEET)
        drains.end(worker)
    with pytest.raises(RefusedError, match="only one"):
        drains.begin("c", FLEET)
    with pytest.raises(DrainedError):
        drains.begin("b", FLEET)


def test_who_leaves_is_forgotten() -> None:
    """Back in the fleet, a worker takes part again."""
    drains = Drains()
    drains.begin("a", FLEET)
    drains.end("a")
    drains.forget_all_but(("b", "c"))
    assert drains.status("a", ("b", "c")).state is DrainState.ERROR
    assert drains.status("a", FLEET) == DrainStatus(DrainState.NOT_RUN)
    assert not drains.workers
