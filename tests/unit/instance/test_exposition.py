from pathlib import Path

import pytest
from instance_process import details
from magnetar_instance.exposition import exposition
from magnetar_instance.figures import LATENCY_BOUNDS_MS, Figures
from magnetar_instance.settings import InstanceSettings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as as_openmetrics
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


def test_the_text_is_openmetrics_once_it_says_where_it_ends(figures: Figures) -> None:
    """A strict parser finds no clash of names and no label that is not escaped."""
    lines = exposition(figures).decode().splitlines()
    # In the older format the names of counters have their suffix in the comments, too.
    comments = [line.replace("_total", "", 1) if line.startswith("#") else line for line in lines]
    assert list(as_openmetrics("\n".join([*comments, "# EOF", ""])))


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
