"""A function's trouble is its own: whatever it does, or is sent, its messages are not lost, and status names it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, produce, unique

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
READS = """\
from dataclasses import dataclass

@dataclass
class Person:
    name: str

def process(input: Person) -> str:
    return input.name
"""
PRINTS = """\
line = "x" * (16 << 20)

def process(input):
    for _ in range(int(input)):
        print(line)
    return input
"""


def test_messages_that_can_not_be_read_fail_alone(launch: Launch, client: pulsar.Client) -> None:
    """Those around them have their results; they are counted, named, and come again when the function is mended."""
    source, sink = unique("in"), unique("out")
    function = details("reads", [source], sink)
    function.source.inputSpecs[source].schemaType = "JSON"
    produce(client, source, [b'{"name": "one"}', b"\xff no JSON", b'{"other": 1}', b'{"name": "two"}'])
    with launch(function, READS) as instance:
        assert [message.data() for message in collect(client, sink, 2)] == [b"one", b"two"]
        status = instance.until(lambda now: now.numSystemExceptions == 2)
        named = [each.exceptionString for each in status.latestSystemExceptions]
        assert ("UnicodeDecodeError" in named[0] or "JSONDecodeError" in named[0], "name" in named[1]) == (True, True)
        assert instance.stop() == 0
    function.source.inputSpecs[source].schemaType = ""
    with launch(function, "def process(input):\n    return 'mended'\n"):
        assert [message.data() for message in collect(client, sink, 4)][2:] == [b"mended", b"mended"]


@pytest.mark.parametrize(("device", "lines"), [("/dev/null", 8), ("/dev/full", 1)])
def test_a_gigabyte_of_prints_and_a_full_disk_hold_nothing_up(
    launch: Launch, client: pulsar.Client, tmp_path: Path, device: str, lines: int
) -> None:
    """Messages are processed and acknowledged whatever becomes of what the function prints."""
    source, sink = unique("in"), unique("out")
    function = details("prints", [source], sink)
    folder = tmp_path / "logs" / function.tenant / function.namespace / function.name
    folder.mkdir(parents=True)
    (folder / f"{function.name}-0.log").symlink_to(device)
    count = 8
    produce(client, source, [b"%d" % lines] * count)
    with launch(function, PRINTS) as instance:
        assert len(collect(client, sink, count)) == count
        status = instance.status()
        assert (status.numSuccessfullyProcessed, status.numUserExceptions, status.numSystemExceptions) == (count, 0, 0)
        assert instance.stop() == 0
