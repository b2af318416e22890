import pytest
from magnetar.errors import RefusedError
from magnetar.functions.states import check_instance, with_state
from magnetar_instance.proto.function import RUNNING, STOPPED, FunctionDetails, FunctionMetaData


def function(parallelism: int, states: dict[int, int] | None = None) -> FunctionMetaData:
    return FunctionMetaData(
        functionDetails=FunctionDetails(parallelism=parallelism), version=4, instanceStates=states or {}
    )


@pytest.mark.parametrize(
    ("before", "parallelism", "instance_id", "running", "after"),
    [
        ({}, 2, None, False, {0: STOPPED, 1: STOPPED}),
        ({}, 2, 1, False, {0: RUNNING, 1: STOPPED}),
        ({0: RUNNING, 1: STOPPED}, 2, None, True, {0: RUNNING, 1: RUNNING}),
        ({0: RUNNING, 1: STOPPED}, 2, None, False, {0: STOPPED, 1: STOPPED}),
        ({0: STOPPED, 1: STOPPED}, 2, 0, True, {0: RUNNING, 1: STOPPED}),
        ({0: STOPPED}, 2, None, False, {0: STOPPED, 1: STOPPED}),
        ({0: STOPPED}, 2, None, True, {0: RUNNING, 1: RUNNING}),
    ],
)
def test_changes_states(
    before: dict[int, int], parallelism: int, instance_id: int | None, running: bool, after: dict[int, int]
) -> None:
    """Stopping and starting write every instance's state and raise the version by one."""
    old = function(parallelism, before)
    new = with_state(old, instance_id, running=running)
    assert dict(new.instanceStates) == after
    assert new.version == 5
    assert dict(old.instanceStates) == before


@pytest.mark.parametrize(
    ("before", "instance_id", "running"),
    [
        ({}, None, True),
        ({}, 0, True),
        ({0: STOPPED, 1: STOPPED}, None, False),
        ({0: STOPPED, 1: RUNNING}, 0, False),
        ({0: STOPPED, 1: RUNNING}, 1, True),
        ({0: RUNNING}, 1, False),
        ({0: RUNNING}, 2, False),
        ({}, -1, False),
    ],
)
def test_refuses_what_changes_nothing(before: dict[int, int], instance_id: int | None, running: bool) -> None:
    """Pulsar's rules: a function that was never stopped can't be started, and no state is written twice."""
    with pytest.raises(RefusedError, match="Operation not permitted"):
        with_state(function(2, before), instance_id, running=running)


def test_knows_instances() -> None:
    """The first and the last instance are known, one beyond is named with the range."""
    check_instance(None, 1)
    check_instance(2, 3)
    with pytest.raises(RefusedError, match="0 to 2"):
        check_instance(3, 3)
