"""Unit tests of examples/python/totals.py and enrich.py, without a broker: run them with pytest."""

from enrich import Enrich
from magnetar_instance import InputMessage, Message
from magnetar_instance.testing import MemoryContext
from totals import process


def test_each_order_has_its_total():
    results = MemoryContext().call(process, InputMessage('{"a": 1, "b": 2}', "orders", key="k"), "no order")
    assert results[0] == Message("3", key="k")
    assert isinstance(results[1], ValueError)


def test_async_functions_are_run_to_their_end():
    assert MemoryContext().call(Enrich(), "three") == "three: 5"
