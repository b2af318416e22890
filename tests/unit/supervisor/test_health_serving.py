from magnetar.health.serving import Serving, serving_table
from magnetar.lifecycle import Phase
from magnetar.supervision.base import InstanceView


def view(fqfn: str, instance_id: int, phase: Phase) -> InstanceView:
    return InstanceView(fqfn, instance_id, "w", "process", phase)


def test_a_function_serves_when_all_its_wanted_instances_run() -> None:
    """A stopped instance does not count, a starting one does."""
    running = [view("a/b/c", 0, Phase.RUNNING), view("a/b/c", 1, Phase.STOPPED)]
    assert serving_table(running, worker_ready=True)["a/b/c"] is Serving.SERVING
    starting = [*running, view("a/b/c", 2, Phase.STARTING)]
    table = serving_table(starting, worker_ready=True)
    assert table["a/b/c"] is Serving.NOT_SERVING
    assert table["a/b/c/0"] is Serving.SERVING
    assert table["a/b/c/2"] is Serving.NOT_SERVING


def test_a_stopped_function_does_not_serve_and_an_unknown_one_is_not_in_the_table() -> None:
    """All instances stopped: not serving. No instance: no entry."""
    table = serving_table([view("a/b/c", 0, Phase.STOPPED)], worker_ready=False)
    assert table == {"": Serving.NOT_SERVING, "a/b/c": Serving.NOT_SERVING, "a/b/c/0": Serving.NOT_SERVING}
