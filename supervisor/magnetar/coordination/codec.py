"""What stands in the messages of the two topics, as Pulsar's workers write and read it. Pure.

A function's metadata comes in two forms. Plainly it is a ServiceRequest without a key; with `useCompactedMetadataTopic`
it is FunctionMetaData under the function's name, where empty data deletes. A message without a key is of the first form
whatever the setting says, so that a topic on which the setting was changed is read whole.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError
from magnetar_instance.proto.function import Assignment, FunctionMetaData, ServiceRequest

from magnetar.errors import RefusedError
from magnetar.model.names import fqiid, name_of, parse_fqfn, parse_fqiid
from magnetar.pulsar_client import Outgoing


class Received(Protocol):
    """The parts of a message that are read."""

    @property
    def key(self) -> str:
        """The key, empty without one."""

    @property
    def data(self) -> bytes:
        """The content."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties."""


@dataclass(frozen=True)
class FunctionChange:
    """A function's new metadata, or its end where there is none."""

    fqfn: str
    version: int
    metadata: FunctionMetaData | None


@dataclass(frozen=True)
class AssignmentChange:
    """An instance's new assignment, or its end where there is none."""

    fqiid: str
    assignment: Assignment | None


class UnreadableError(Exception):
    """Raised when a message is in none of the forms that workers write."""


def update(metadata: FunctionMetaData) -> FunctionChange:
    """Return the change that brings new metadata."""
    return FunctionChange(name_of(metadata.functionDetails).fqfn, metadata.version, metadata)


def encode_function(metadata: FunctionMetaData, *, delete: bool, compacted: bool, worker_id: str) -> Outgoing:
    """Write a change of a function."""
    version = {"version": str(metadata.version)}
    if compacted:
        data = b"" if delete else metadata.SerializeToString()
        return Outgoing(data, name_of(metadata.functionDetails).fqfn, version)
    request = ServiceRequest(
        serviceRequestType=ServiceRequest.DELETE if delete else ServiceRequest.UPDATE,
        requestId=str(uuid.uuid4()),
        functionMetaData=metadata,
        workerId=worker_id,
    )
    return Outgoing(request.SerializeToString(), properties=version)


def decode_function(message: Received) -> FunctionChange | None:
    """Read a change of a function; None for a request that asks for none. Raises UnreadableError."""
    try:
        change = _keyed(message) if message.key else _request(ServiceRequest.FromString(message.data))
        if change:
            parse_fqfn(change.fqfn)
    except (DecodeError, RefusedError, ValueError) as error:
        raise UnreadableError(str(error)) from error
    return change


def _keyed(message: Received) -> FunctionChange:
    if not message.data:
        return FunctionChange(message.key, int(message.properties.get("version", "")), None)
    return update(FunctionMetaData.FromString(message.data))


def _request(request: ServiceRequest) -> FunctionChange | None:
    change = update(request.functionMetaData)
    if request.serviceRequestType == ServiceRequest.DELETE:
        return FunctionChange(change.fqfn, change.version, None)
    return change if request.serviceRequestType == ServiceRequest.UPDATE else None


def encode_assignment(change: AssignmentChange) -> Outgoing:
    """Write a change of an assignment."""
    return Outgoing(change.assignment.SerializeToString() if change.assignment else b"", change.fqiid)


def decode_assignment(message: Received) -> AssignmentChange:
    """Read a change of an assignment. Raises UnreadableError."""
    try:
        parse_fqiid(message.key)
        if not message.data:
            return AssignmentChange(message.key, None)
        assignment = Assignment.FromString(message.data)
    except (DecodeError, RefusedError) as error:
        raise UnreadableError(str(error)) from error
    instance = assignment.instance
    name = fqiid(name_of(instance.functionMetaData.functionDetails).fqfn, instance.instanceId)
    if name != message.key:
        raise UnreadableError(f"the assignment of {name} stands under the key {message.key}")
    return AssignmentChange(message.key, assignment)
