from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar.policy.failures import Homeless, check
from magnetar.policy.placement import Plan, instances_of, place, rebalance, without_worker
from magnetar_instance.proto.function import Assignment, FunctionDetails, FunctionMetaData, Instance

WORKERS = ("a", "b", "c")


def function(name: str, parallelism: int = 1, version: int = 0, namespace: str = "public/default") -> FunctionMetaData:
    tenant, _, local = namespace.partition("/")
    details = FunctionDetails(tenant=tenant, namespace=local, name=name, parallelism=parallelism)
    return FunctionMetaData(functionDetails=details, version=version)


def heartbeat(worker: str) -> FunctionMetaData:
    return function(worker, namespace="pulsar-function/heartbeat")


def applied(assignments: dict[str, Assignment], plan: Plan) -> dict[str, Assignment]:
    return {name: each for name, each in {**assignments, **plan.placed}.items() if name not in plan.removed}


def owners(assignments: dict[str, Assignment]) -> dict[str, str]:
    return {name.removeprefix("public/default/"): each.workerId for name, each in assignments.items()}


functions = st.dictionaries(st.sampled_from("fghij"), st.integers(1, 6), max_size=5).map(
    lambda found: [function(name, parallelism) for name, parallelism in found.items()]
)
fleets = st.sets(st.sampled_from(WORKERS))


@given(functions, fleets)
def test_every_instance_gets_one_worker_of_the_fleet_and_no_worker_two_more_than_another(
    wanted: list[FunctionMetaData], workers: set[str]
) -> None:
    """From nothing, everything is placed evenly; without workers, nothing is."""
    instances = instances_of(wanted)
    plan = place(instances, {}, workers)
    assert not plan.removed
    if not workers:
        assert not plan
        return
    assert plan.placed.keys() == instances.keys()
    assert all(plan.placed[name].instance == instances[name] for name in instances)
    counts = Counter(dict.fromkeys(workers, 0))
    counts.update(each.workerId for each in plan.placed.values())
    assert counts.keys() == workers
    assert max(counts.values()) - min(counts.values()) <= 1


@given(functions, functions, fleets, fleets)
def test_what_is_placed_stays_and_a_second_look_changes_nothing(
    before: list[FunctionMetaData], after: list[FunctionMetaData], old: set[str], new: set[str]
) -> None:
    """A plan leads to exactly what is wanted, moves nobody, and is followed by an empty plan."""
    first = applied({}, place(instances_of(before), {}, old))
    wanted = instances_of(after)
    second = applied(first, place(wanted, first, new))
    assert second.keys() <= wanted.keys()
    for name in second.keys() & first.keys():
        assert second[name].workerId == first[name].workerId
        assert second[name].instance == wanted[name]
    assert not place(wanted, second, new)


def test_a_new_version_is_published_to_the_worker_that_has_it() -> None:
    """Changed content goes out for every instance, to the same workers."""
    first = applied({}, place(instances_of([function("f", 2)]), {}, "ab"))
    plan = place(instances_of([function("f", 2, version=1)]), first, "ab")
    assert owners(dict(plan.placed)) == owners(first)
    assert {each.instance.functionMetaData.version for each in plan.placed.values()} == {1}


def test_fewer_instances_remove_the_last_ones() -> None:
    """Lower parallelism takes away the highest numbers."""
    first = applied({}, place(instances_of([function("f", 3)]), {}, "a"))
    plan = place(instances_of([function("f", 1)]), first, "a")
    assert plan.removed == ("public/default/f:1", "public/default/f:2")


def test_the_least_loaded_worker_is_next() -> None:
    """A worker that came later is filled first; ties go by name."""
    first = applied({}, place(instances_of([function("f", 4)]), {}, "a"))
    second = applied(first, place(instances_of([function("f", 4), function("g", 6)]), first, "ab"))
    assert Counter(owners(second).values()) == {"a": 5, "b": 5}


def test_what_is_on_a_dead_worker_waits_for_the_failure_check() -> None:
    """Placing moves nothing off a worker that is not in the fleet."""
    first = applied({}, place(instances_of([function("f", 2)]), {}, "a"))
    assert not place(instances_of([function("f", 2)]), first, "b")


def test_heartbeats_run_on_their_own_worker_always() -> None:
    """A heartbeat is placed by its name, brought back when it is elsewhere, and never moved away."""
    wanted = instances_of([heartbeat("b")])
    [name] = wanted
    assert place(wanted, {}, "a").placed[name].workerId == "b"
    astray = {name: Assignment(instance=wanted[name], workerId="a")}
    assert place(wanted, astray, "ab").placed[name].workerId == "b"
    at_home = {name: Assignment(instance=wanted[name], workerId="b")}
    assert without_worker(at_home, "b") == at_home
    assert not rebalance(at_home, "ab")


def test_externally_managed_functions_have_one_assignment() -> None:
    """Where Kubernetes spreads the instances, one assignment with the number -1 stands for them."""
    assert [
        each.instanceId for each in instances_of([function("f", 5)], externally_managed=lambda _: True).values()
    ] == [-1]


@given(st.dictionaries(st.integers(0, 30).map(str), st.sampled_from("abx"), max_size=20), fleets)
def test_rebalancing_evens_out_with_as_few_moves_as_possible(owner: dict[str, str], workers: set[str]) -> None:
    """Afterwards no member has two more than another; what dead workers hold is left to the failure check."""
    instance = Instance(functionMetaData=function("f"))
    before = {name: Assignment(instance=instance, workerId=worker) for name, worker in owner.items()}
    plan = rebalance(before, workers)
    after = applied(before, plan)
    live = {name: each.workerId for name, each in before.items() if each.workerId in workers}
    assert plan.placed.keys() <= live.keys()
    if workers:
        counts = Counter(dict.fromkeys(workers, 0))
        counts.update(after[name].workerId for name in live)
        assert max(counts.values()) - min(counts.values()) <= 1
        share = -(-len(live) // len(workers))
        assert len(plan.placed) <= sum(max(0, n - share + 1) for n in Counter(live.values()).values())


def test_a_drained_worker_has_nothing_left_but_its_heartbeat() -> None:
    """Placing without a worker's assignments, and without the worker, moves its instances to the others."""
    wanted = instances_of([function("f", 4), heartbeat("a")])
    before = applied({}, place(wanted, {}, "ab"))
    plan = place(wanted, without_worker(before, "a"), "b")
    after = applied(before, plan)
    assert {name for name, each in after.items() if each.workerId == "a"} == {"pulsar-function/heartbeat/a:0"}


class TestFailureCheck:
    wanted = instances_of([function("f", 2)])
    names = ("public/default/f:0", "public/default/f:1")

    def on(self, *workers: str) -> dict[str, Assignment]:
        return {
            name: Assignment(instance=self.wanted[name], workerId=worker)
            for name, worker in zip(self.names, workers, strict=True)
        }

    def test_time_counts_from_when_the_worker_was_first_missed(self) -> None:
        """Overdue only when the timeout has passed, whatever the number of checks between."""
        known = check(Homeless(), self.wanted, self.on("a", "b"), {"a"}, now=10)
        known = check(known, self.wanted, self.on("a", "b"), {"a"}, now=40)
        assert known.since == {self.names[1]: 10}
        assert known.overdue(now=69.9, timeout=60) == frozenset()
        assert known.overdue(now=70, timeout=60) == {self.names[1]}
        assert known.next_due(60) == 70

    def test_a_worker_that_comes_back_in_time_keeps_its_instances(self) -> None:
        """The time is forgotten and starts anew at the next failure."""
        known = check(Homeless(), self.wanted, self.on("a", "b"), {"a"}, now=10)
        known = check(known, self.wanted, self.on("a", "b"), {"a", "b"}, now=20)
        assert known == Homeless()
        assert known.next_due(60) is None
        assert check(known, self.wanted, self.on("a", "b"), {"a"}, now=30).since == {self.names[1]: 30}

    def test_an_instance_without_assignment_is_homeless(self) -> None:
        """What could not be placed waits under the same rule, and what was deleted does not."""
        known = check(Homeless(), self.wanted, {}, {"a"}, now=1)
        assert set(known.since) == set(self.names)
        assert check(known, {}, {}, {"a"}, now=2) == Homeless()

    def test_an_update_does_not_start_the_time_anew(self) -> None:
        """Another version of the same instance keeps the time of the first."""
        known = check(Homeless(), self.wanted, self.on("a", "b"), {"a"}, now=1)
        newer = instances_of([function("f", 2, version=1)])
        assert check(known, newer, self.on("a", "b"), {"a"}, now=5).since == {self.names[1]: 1}

    def test_heartbeats_wait_for_their_worker(self) -> None:
        """A dead worker's heartbeat is nobody else's."""
        wanted = instances_of([heartbeat("b")])
        assert check(Homeless(), wanted, {}, {"a"}, now=1) == Homeless()


@pytest.mark.parametrize("workers", [(), ("a",)])
def test_nothing_wanted_and_nothing_assigned_is_nothing_to_do(workers: tuple[str, ...]) -> None:
    """An empty fleet and an empty list of functions give an empty plan."""
    assert not place({}, {}, workers)
    assert not rebalance({}, workers)
