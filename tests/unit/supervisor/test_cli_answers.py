from dataclasses import replace

from magnetar.cli.functions.answers import Counted

SOME = Counted(received=7, succeeded=5, failed=2, trouble="")


def test_counts_are_compared_with_those_of_instances_that_still_run() -> None:
    """One that was started anew counts from nothing, which is no success and no failure."""
    assert replace(SOME, received=9, succeeded=7).since(SOME) == SOME
    for fewer in ({"received": 1}, {"succeeded": 0}, {"failed": 0}):
        now = replace(SOME, **fewer)
        assert now.since(SOME) == now
