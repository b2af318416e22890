from collections.abc import Iterator
from pathlib import Path

import pulsar
import pytest
from instance_process import collect, details, produce, running, unique
from magnetar_broker.testing import RunningBroker


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield made
    made.close()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_module_function_gives_its_results_to_the_output_topic(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """The simplest function of Pulsar's documentation, with the properties that tell where an output came from."""
    code = write(tmp_path, "exclaim.py", "def process(input):\n    return f'{input}!'\n")
    source, sink = unique("in"), unique("out")
    produce(client, source, [b"hello", b"world"])
    function = details("exclaim", [source], sink)
    with running(function, code, pulsar_broker.service_url, logs=tmp_path / "logs") as instance:
        messages = collect(client, sink, 2)
        assert [message.data() for message in messages] == [b"hello!", b"world!"]
        assert messages[0].properties()["__pfn_input_topic__"] == source
        status = instance.until(lambda now: now.numSuccessfullyProcessed == 2)
        assert status.running
        assert instance.stop() == 0
