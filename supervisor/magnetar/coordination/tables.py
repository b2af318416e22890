"""What the two topics add up to: functions and assignments, as mappings that are replaced and never changed. Pure."""

from collections.abc import Iterable, Mapping

from magnetar_instance.proto.function import Assignment, FunctionMetaData

from magnetar.coordination.codec import AssignmentChange, FunctionChange

Functions = Mapping[str, FunctionMetaData]
Assignments = Mapping[str, Assignment]


def accepts(functions: Functions, change: FunctionChange) -> bool:
    """Whether a change of a function counts: its version must be above the one that is known.

    Where the function is not known any version does, but there is nothing to delete.
    """
    known = functions.get(change.fqfn)
    if known is None:
        return change.metadata is not None
    return change.version > known.version


def with_functions(functions: Functions, changes: Iterable[FunctionChange]) -> Functions:
    """Return the functions after some changes: the same mapping when none of them counts."""
    after = dict(functions)
    counted = False
    for change in changes:
        if not accepts(after, change):
            continue
        counted = True
        if change.metadata is None:
            del after[change.fqfn]
        else:
            after[change.fqfn] = change.metadata
    return after if counted else functions


def with_assignments(assignments: Assignments, changes: Iterable[AssignmentChange]) -> Assignments:
    """Return the assignments after some changes: the same mapping when nothing became different."""
    after = dict(assignments)
    different = False
    for change in changes:
        if after.get(change.fqiid) == change.assignment:
            continue
        different = True
        if change.assignment is None:
            del after[change.fqiid]
        else:
            after[change.fqiid] = change.assignment
    return after if different else assignments
