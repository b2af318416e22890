from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar.broker_admin import ConsumerStats, SubscriptionStats, TopicStats
from magnetar.coordination.base import WorkerInfo
from magnetar.coordination.codec import (
    AssignmentChange,
    FunctionChange,
    UnreadableError,
    decode_assignment,
    decode_function,
    encode_assignment,
    encode_function,
    update,
)
from magnetar.coordination.fleet import Standing, participant_name, standing_of, worker_info
from magnetar.coordination.tables import with_assignments, with_functions
from magnetar_instance.proto.function import Assignment, FunctionDetails, FunctionMetaData, Instance, ServiceRequest


@dataclass(frozen=True)
class Taken:
    data: bytes
    key: str = ""
    properties: dict[str, str] = field(default_factory=dict)


def function(name: str, version: int = 0) -> FunctionMetaData:
    details = FunctionDetails(tenant="t", namespace="n", name=name, parallelism=1)
    return FunctionMetaData(functionDetails=details, version=version)


def assignment(name: str, number: int, worker: str) -> Assignment:
    return Assignment(instance=Instance(functionMetaData=function(name), instanceId=number), workerId=worker)


@given(st.integers(0, 2**64 - 1), st.booleans(), st.booleans())
def test_a_change_of_a_function_is_read_as_it_was_written(version: int, delete: bool, compacted: bool) -> None:
    """In both forms, for any version that fits, deletions included."""
    sent = encode_function(function("f", version), delete=delete, compacted=compacted, worker_id="w")
    read = decode_function(Taken(sent.data, sent.key, dict(sent.properties)))
    assert read == FunctionChange("t/n/f", version, None if delete else function("f", version))


def test_an_initialize_request_changes_nothing() -> None:
    """Older workers may have written one."""
    request = ServiceRequest(serviceRequestType=ServiceRequest.INITIALIZE, functionMetaData=function("f"))
    assert decode_function(Taken(request.SerializeToString())) is None


@pytest.mark.parametrize(
    "message",
    [
        Taken(b"\xff\xff"),
        Taken(b""),
        Taken(b"", "t/n/f"),
        Taken(b"", "t/n/f", {"version": "x"}),
        Taken(b"", "f", {"version": "1"}),
        Taken(b"\xff", "t/n/f", {"version": "1"}),
    ],
)
def test_what_no_worker_writes_is_unreadable(message: Taken) -> None:
    """Broken content, no name, or a deletion that does not tell its version."""
    with pytest.raises(UnreadableError):
        decode_function(message)


@given(st.integers(-1, 2**31 - 1), st.sampled_from(["w", "", "w-2"]))
def test_an_assignment_is_read_as_it_was_written(number: int, worker: str) -> None:
    """Its key is the instance's name; empty data is its end."""
    for change in (
        AssignmentChange(f"t/n/f:{number}", assignment("f", number, worker)),
        AssignmentChange(f"t/n/f:{number}", None),
    ):
        sent = encode_assignment(change)
        assert decode_assignment(Taken(sent.data, sent.key)) == change


@pytest.mark.parametrize(
    "message",
    [Taken(b""), Taken(b"\xff", "t/n/f:0"), Taken(assignment("f", 0, "w").SerializeToString(), "t/n/f:1")],
)
def test_an_assignment_under_another_name_is_unreadable(message: Taken) -> None:
    """What is told must be what the key says."""
    with pytest.raises(UnreadableError):
        decode_assignment(message)


names = st.sampled_from("fgh")
changes = st.lists(
    st.builds(
        lambda name, version, gone: FunctionChange(f"t/n/{name}", version, None if gone else function(name, version)),
        names,
        st.integers(0, 4),
        st.booleans(),
    )
)


@given(changes, changes)
def test_only_rising_versions_count_and_reading_in_parts_is_reading_at_once(
    first: list[FunctionChange], second: list[FunctionChange]
) -> None:
    """The table holds for each name what an exact replay of the rule gives."""
    expected: dict[str, FunctionMetaData] = {}
    for change in first + second:
        known = expected.get(change.fqfn)
        if known is not None and change.version <= known.version:
            continue
        if change.metadata is None:
            expected.pop(change.fqfn, None)
        else:
            expected[change.fqfn] = change.metadata
    assert with_functions(with_functions({}, first), second) == expected == with_functions({}, first + second)


def test_what_does_not_count_leaves_the_same_mapping() -> None:
    """A caller can tell by identity that nothing changed."""
    functions = with_functions({}, [update(function("f", 1))])
    assert with_functions(functions, [update(function("f", 1)), FunctionChange("t/n/f", 0, None)]) is functions
    assert with_functions(functions, [FunctionChange("t/n/g", 9, None)]) is functions
    given_ = AssignmentChange("t/n/f:0", assignment("f", 0, "w"))
    assignments = with_assignments({}, [given_])
    assert with_assignments(assignments, [given_, AssignmentChange("t/n/f:1", None)]) is assignments
    assert with_assignments(assignments, [AssignmentChange("t/n/f:0", None)]) == {}
    assert assignments == {"t/n/f:0": given_.assignment}


def test_the_fleet_is_read_from_its_consumers() -> None:
    """Members are told by their property, the leader by the active consumer's name; strangers are left out."""

    def consumer(name: str, identifier: str) -> ConsumerStats:
        return ConsumerStats(name, "", {"id": identifier})

    consumers = (consumer("x", "a:host:1"), consumer("b:host:2", "b:host:2"), consumer("other", "no worker"))
    stats = TopicStats(0, (), {"participants": SubscriptionStats("Failover", 0, "x", consumers)})
    first, second = WorkerInfo("a", "host", 1), WorkerInfo("b", "host", 2)
    assert standing_of(stats) == Standing((first, second), first)
    assert standing_of(stats).worker_ids == {"a", "b"}
    assert standing_of(TopicStats(0, (), {})) == Standing()


@given(st.text("abc-.", min_size=1), st.text("xyz.", min_size=1), st.integers(0, 65535))
def test_a_participants_name_is_read_as_it_was_written(worker_id: str, host: str, port: int) -> None:
    """Three parts with colons between them."""
    worker = WorkerInfo(worker_id, host, port)
    assert worker_info(participant_name(worker)) == worker


@pytest.mark.parametrize("text", ["", "a", "a:b", "a:b:c", "a:b:1:2"])
def test_a_name_of_another_form_is_no_worker(text: str) -> None:
    """Nothing is guessed."""
    assert worker_info(text) is None
