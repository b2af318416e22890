import pytest
from magnetar.runtimes.process.normal import milliseconds, normal_metrics, normal_status, normal_text
from magnetar_instance.proto.control import FunctionStatus, MetricsData

NOW = 1_790_000_000_123


@pytest.mark.parametrize("told", [NOW, NOW * 1000, NOW * 1_000_000, NOW / 1000], ids=["ms", "us", "ns", "s"])
def test_times_become_milliseconds(told: float) -> None:
    """Whatever unit an instance tells them in."""
    assert milliseconds(told) == pytest.approx(NOW, abs=1)


def test_no_time_stays_none() -> None:
    """Zero is an instance that was not called yet."""
    assert milliseconds(0) == 0
    assert milliseconds(float("nan")) == 0


def test_a_status_of_gos_becomes_like_the_others() -> None:
    """Its times are nanoseconds and its instance may call itself by a UUID."""
    exceptions = [FunctionStatus.ExceptionInformation(exceptionString="x", msSinceEpoch=NOW * 1_000_000)]
    told = FunctionStatus(
        running=True,
        instanceId="uuid",
        lastInvocationTime=NOW * 1_000_000,
        latestUserExceptions=exceptions,
        numReceived=3,
    )
    found = normal_status(told, 5)
    assert (found.instanceId, found.lastInvocationTime, found.numReceived) == ("5", NOW, 3)
    assert found.latestUserExceptions[0].msSinceEpoch == NOW
    assert told.instanceId == "uuid"
    assert normal_metrics(MetricsData(lastInvocation=NOW * 1_000_000)).lastInvocation == NOW


@pytest.mark.parametrize(
    ("told", "normal"),
    [
        (
            "# TYPE pulsar_function_received_total_1min gauge",
            "# TYPE pulsar_function_received_1min_total counter",
        ),
        ("# TYPE pulsar_function_last_invocation gauge", "# TYPE pulsar_function_last_invocation gauge"),
        (
            'pulsar_function_received_total_1min_total{fqfn="t/n/f",instance_id="0"} 3.0',
            'pulsar_function_received_1min_total{fqfn="t/n/f",instance_id="5"} 3.0',
        ),
        (
            'pulsar_function_last_invocation{instance_id="a-uuid",name="f"} 1.790000000123e+18',
            f'pulsar_function_last_invocation{{instance_id="5",name="f"}} {NOW}',
        ),
        (
            'pulsar_function_user_metric__sum{instance_id="5",metric="m"} 2',
            'pulsar_function_user_metric_sum{instance_id="5",metric="m"} 2',
        ),
        (
            'pulsar_function_user_metric_{instance_id="5",metric="m",quantile="0.5",} 2',
            'pulsar_function_user_metric{instance_id="5",metric="m",quantile="0.5",} 2',
        ),
        (
            'pulsar_function_process_latency_ms_1min_sum{instance_id="5"} 2',
            'pulsar_function_process_latency_ms_1min_sum{instance_id="5"} 2',
        ),
        ("# TYPE pulsar_function_processed_successfully_total gauge",
         "# TYPE pulsar_function_processed_successfully_total counter"),
        ('jvm_threads_state{state="NEW",} 0.0', 'jvm_threads_state{state="NEW",} 0.0'),
    ],
)  # fmt: skip
def test_metrics_have_one_spelling(told: str, normal: str) -> None:
    """That of Pulsar 4.x in Java and Python, with the instance's number."""
    assert normal_text(f"{told}\n", 5) == f"{normal}\n"
