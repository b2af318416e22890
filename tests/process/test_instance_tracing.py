"""Spans of functions whose code sets OpenTelemetry up: below the input's span, and carried on by what comes of it."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, unique

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SETUP = """
from magnetar_instance import Message, batch
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
line = lambda span: span.to_json(indent=None) + chr(10)
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open({path!r}, "a", buffering=1), formatter=line)))
trace.set_tracer_provider(provider)


class Traced:
    {mark}
    {kind} process(self, given, context):
        context.publish({side!r}, "side")
        return {result}
"""


@pytest.mark.parametrize(
    ("kind", "mark", "result"),
    [
        ("def", "", "given"),
        ("async def", "", "[Message(given), Message(given, properties={'own': 'x'})]"),
        ("def", "@batch()", "[each.value for each in given]"),
    ],
    ids=["plain", "async", "batch"],
)
def test_a_call_has_a_span_that_its_outputs_carry(
    launch: Launch, client: pulsar.Client, tmp_path: Path, kind: str, mark: str, result: str
) -> None:
    """The span is a child of the input's, or linked to it in a batch; outputs and publications are its children."""
    source, sink, side, spans = unique("in"), unique("out"), unique("side"), tmp_path / "spans"
    code = SETUP.format(path=str(spans), kind=kind, mark=mark, side=side, result=result)
    producer = client.create_producer(source)
    producer.send(b"x", properties={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    with launch(details("traced.Traced", [source], sink), code) as instance:
        parents = [collect(client, topic, 1)[0].properties()["traceparent"] for topic in (sink, side)]
        instance.until(lambda now: now.numSuccessfullyProcessed == 1)
        assert instance.stop() == 0
    (span,) = (json.loads(line) for line in spans.read_text().splitlines())
    own = [_id(span["context"]["trace_id"]), _id(span["context"]["span_id"])]
    assert [parent.split("-")[1:3] for parent in parents] == [own, own]
    assert _origin(span) == (TRACE, PARENT)
    assert span["attributes"]["messaging.destination.name"] == source


def _origin(span: Any) -> tuple[str, str]:
    if span["links"]:
        context = span["links"][0]["context"]
        return _id(context["trace_id"]), _id(context["span_id"])
    return _id(span["context"]["trace_id"]), _id(span["parent_id"])


def _id(text: str) -> str:
    return text.removeprefix("0x")
