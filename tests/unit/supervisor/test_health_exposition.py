from magnetar.health.exposition import merge
from magnetar.health.worker_metrics import WorkerFigures, worker_text
from magnetar.lifecycle import Phase
from magnetar.supervision.base import InstanceView
from prometheus_client.parser import text_string_to_metric_families

ONE = """# HELP pulsar_function_received_total Messages.
# TYPE pulsar_function_received_total counter
pulsar_function_received_total{fqfn="a/b/c",instance_id="0"} 3.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
# TYPE pulsar_function_process_latency_ms summary
pulsar_function_process_latency_ms{quantile="0.5",text="a } and \\" b"} 7.0
pulsar_function_process_latency_ms_sum 7.0
pulsar_function_process_latency_ms_count 1.0
"""


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def test_two_instances_with_the_same_families_become_one_exposition() -> None:
    """Each family is declared once, and no sample of either instance is lost."""
    text = merge(
        [({"instance_id": "0"}, ONE), ({"instance_id": "1"}, ONE.replace('instance_id="0"', 'instance_id="1"'))]
    )
    assert text.count("# TYPE pulsar_function_received_total") == 1
    found = samples(text)
    assert found["pulsar_function_received_total", frozenset({("fqfn", "a/b/c"), ("instance_id", "1")})] == 3.0
    assert found["process_cpu_seconds_total", frozenset({("instance_id", "0")})] == 1.5
    assert found["process_cpu_seconds_total", frozenset({("instance_id", "1")})] == 1.5


def test_a_label_value_with_quotes_and_braces_survives() -> None:
    """Quoted values are kept as they are."""
    found = samples(merge([({"instance_id": "0"}, ONE)]))
    key = frozenset({("quantile", "0.5"), ("text", 'a } and " b'), ("instance_id", "0")})
    assert found["pulsar_function_process_latency_ms", key] == 7.0


def test_a_repeated_series_stands_once() -> None:
    """Of two samples of one series the first stands."""
    assert merge([({}, "up 1\n"), ({}, "up 2\n")]) == "up 1\n"


def test_a_label_that_ends_with_anothers_name_is_another_label() -> None:
    """A sample gets a label although it has one whose name ends alike."""
    assert merge([({"id": "7"}, 'up{instance_id="0"} 1\n')]) == 'up{instance_id="0",id="7"} 1\n'


def test_the_workers_own_figures_are_a_valid_exposition() -> None:
    """A parser reads the worker's text, and the phase of each instance is in it."""
    views = [InstanceView("a/b/c", 0, "w", "process", Phase.CRASH_LOOPING, restarts=7)]
    text = worker_text(WorkerFigures("standalone", 800.0, True, 1, 1, 0, views))
    found = samples(text)
    labels = {("fqfn", "a/b/c"), ("instance_id", "0")}
    assert found["magnetar_instance_phase", frozenset(labels | {("phase", "crash-looping")})] == 1
    assert found["magnetar_instance_restarts_total", frozenset(labels)] == 7
    assert found["pulsar_function_worker_total_function_count", frozenset({("cluster", "standalone")})] == 1
