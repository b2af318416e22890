from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pulsar
import pytest
from instance_process import InstanceProcess, running
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import FunctionDetails


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield made
    made.close()


@pytest.fixture
def launch(pulsar_broker: RunningBroker, tmp_path: Path) -> Callable[..., AbstractContextManager[InstanceProcess]]:
    """Runs a function whose code is given as text, in a file that is named like the module of its class name."""

    def launched(
        details: FunctionDetails, code: str, *, file: str = "", **options: Any
    ) -> AbstractContextManager[InstanceProcess]:
        path = tmp_path / f"{file or details.className.split('.')[0]}.py"
        path.write_text(code)
        return running(details, path, pulsar_broker.service_url, logs=tmp_path / "logs", **options)

    return launched
