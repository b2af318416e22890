from pathlib import Path

import pytest
from instance_process import details
from magnetar_instance.exposition import exposition
from magnetar_instance.figures import LATENCY_BOUNDS_MS, Figures
from magnetar_instance.open_metrics import as_openmetrics, prefers_openmetrics
from magnetar_instance.settings import InstanceSettings
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict_families
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture
def figures() -> Figures:
    made = Figures(InstanceSettings(details("f", ["in"]), 0, "id", "version", Path("f.py"), "pulsar://none", "test"))
    made.received = 3
    made.processed(0.0004)
    made.processed(3.0)
    made.user_failed(ValueError("x"))
    made.system_failed("lost", "Timeout")
    made.record('odd "name"\n', 2.5)
    made.log_dropped(4)
    return made


def strict(text: str) -> list[Metric]:
    return list(strict_families(text))


def values(figures: Figures) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(exposition(figures).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found


def test_the_text_says_what_was_counted(figures: Figures) -> None:
    """Pulsar's summaries, a histogram beside them, and what had to be dropped of the log."""
    found = values(figures)
    assert found["pulsar_function_received_total"] == [3]
    assert found["pulsar_function_process_latency_ms_count"] == [2]
    assert found["pulsar_function_process_latency_ms_sum"] == pytest.approx([3000.4])
    buckets = found["magnetar_function_process_latency_seconds_bucket"]
    assert len(buckets) == len(LATENCY_BOUNDS_MS) + 1
    assert (buckets[0], buckets[1], buckets[-1]) == (0, 1, 2)
    assert buckets == sorted(buckets)
    assert found["magnetar_function_log_records_dropped_total"] == [4]
    assert found["pulsar_function_user_metric_sum"] == [2.5]


def test_the_text_as_openmetrics_is_valid_and_tells_the_same(figures: Figures) -> None:
    """A strict parser finds no clash of names and no label that is not escaped."""
    families = strict(as_openmetrics(exposition(figures).decode()))
    found: dict[str, list[float]] = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, []).append(sample.value)
    assert found == values(figures)
    assert {family.name: family.type for family in families}["pulsar_function_received"] == "counter"


def test_labels_are_bounded(figures: Figures) -> None:
    """Whatever a function raises and records, the rest is counted together."""
    for number in range(5000):
        figures.user_failed(type(f"Error{number}", (Exception,), {})())
        figures.record(f"metric-{number}", 1)
    found = values(figures)
    assert len(found["pulsar_function_user_exception"]) <= 51
    assert sum(found["pulsar_function_user_exception"]) == 5001
    assert len(found["pulsar_function_user_metric_count"]) == 1001
    assert sum(found["pulsar_function_user_metric_count"]) == 5001


FOREIGN = """# HELP up Says \\"up\\", or not.
# TYPE up untyped
up 1 1700000000123
# TYPE requests counter
requests{path="/a b}",} 3
# TYPE seconds histogram
seconds_bucket{le="1"} 1
seconds_bucket{le="+Inf"} 2
seconds_sum 4
seconds_count 2
# TYPE seconds_created gauge
seconds_created 1.7e+09
# TYPE wait summary
wait{quantile="1"} 5
wait_sum 5
wait_count 1
bare 7
"""


def test_what_other_instances_write_is_openmetrics_too() -> None:
    """Clients for other languages write bounds without a point, counters without a suffix, and samples without a type."""
    families = {family.name: family for family in strict(as_openmetrics(FOREIGN))}
    assert {name: family.type for name, family in families.items()} == {
        "up": "unknown",
        "requests": "unknown",
        "seconds": "histogram",
        "wait": "summary",
        "bare": "unknown",
    }
    assert families["requests"].samples[0].labels == {"path": "/a b}"}
    assert float(families["up"].samples[0].timestamp) == 1700000000.123
    assert [sample.value for sample in families["seconds"].samples] == [1, 2, 4, 2]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", False),
        ("application/openmetrics-text;q=0", False),
    ],
)
def test_openmetrics_is_for_who_prefers_it(accept: str, wanted: bool) -> None:
    """Prometheus' own header does; nobody else gets it unasked."""
    assert prefers_openmetrics(accept) is wanted
