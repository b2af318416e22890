"""Pulsar's own interface against ours, by inspection."""

import inspect

import pytest
from magnetar_instance.context import FunctionContext
from magnetar_instance.testing import MemoryContext
from pulsar.functions.context import Context

METHODS = sorted(name for name in vars(Context) if not name.startswith("_"))


@pytest.mark.parametrize("kind", [FunctionContext, MemoryContext])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_pulsars_context_is_there(kind: type, name: str) -> None:
    """With its arguments by their names and in their order; what is more comes after them, and has a default."""
    pulsars, ours = (inspect.signature(getattr(each, name)).parameters for each in (Context, kind))
    assert getattr(kind, name) is not getattr(Context, name)
    assert list(ours)[: len(pulsars)] == list(pulsars)
    assert all(ours[more].default is not inspect.Parameter.empty for more in list(ours)[len(pulsars) :])
