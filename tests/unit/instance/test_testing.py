"""The context in memory that users test their functions with."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from magnetar_instance import InputMessage, Message
from magnetar_instance.errors import StateError
from magnetar_instance.testing import MemoryContext, Published

EXAMPLES = Path(__file__).parents[3] / "examples/python"


class Everything:
    def process(self, text: str, context: Any) -> Message:
        context.incr_counter("seen", 1)
        context.put_state("last", text)
        context.record_metric("length", len(text))
        context.publish("side", text.upper(), properties={"p": "q"}, message_conf={"partition_key": "k"})
        context.ack(context.get_message_id(), context.get_current_message_topic_name())
        return Message(text, key=context.get_message_key(), properties={"to": context.get_user_config_value("to")})


def test_it_keeps_what_a_function_did() -> None:
    """State, metrics, what was published and acknowledged, and the result."""
    context = MemoryContext(user_config={"to": "x"}, secrets={"password": "p"})
    result = context.call(Everything(), InputMessage("hi", "in", key="k", properties={"traceparent": "t"}))
    assert result == Message("hi", key="k", properties={"to": "x"})
    assert context.published == [Published("side", b"HI", {"p": "q", "traceparent": "t"}, {"partition_key": "k"})]
    assert (context.get_counter("seen"), context.get_state("last")) == (1, b"hi")
    assert context.get_metrics() == {"user_metric_length_sum": 2.0, "user_metric_length_count": 1.0}
    assert (context.get_secret("password"), context.get_secret("none"), len(context.acknowledged)) == ("p", None, 1)


def test_windows_and_functions_of_modules() -> None:
    """A list of one, and functions without a context."""
    context = MemoryContext()
    assert context.call_window(lambda inputs, _: [each.value for each in inputs], 1) == [1]
    assert context.call(lambda number: number + 1, 1) == 2
    with pytest.raises(TypeError, match="2 inputs"):
        context.call(lambda number: number + 1, 1, 2)


def test_state_refuses_what_the_real_one_does() -> None:
    """Bytes are no counter, nor is a number that 64 bits don't hold."""
    context = MemoryContext()
    context.put_state("text", "x")
    context.incr_counter("most", (1 << 63) - 1)
    for key in ("text", "most"):
        with pytest.raises(StateError, match=key):
            context.incr_counter(key, 1)


@pytest.mark.parametrize("test", ["test_each_order_has_its_total", "test_async_functions_are_run_to_their_end"])
def test_the_examples_tests_pass(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """examples/python/test_totals.py."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location("example_tests", EXAMPLES / "test_totals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    getattr(module, test)()
