from hypothesis import given
from hypothesis import strategies as st
from magnetar.policy.restart import Decision, History, RestartPolicy, after_death, after_refusal

POLICY = RestartPolicy()


def die(times: list[float], *, healthy_for: float = 0.0, chance: float = 0.5) -> list[Decision]:
    history, decisions = History(), []
    for now in times:
        decision = after_death(POLICY, history, now=now, healthy_for=healthy_for, chance=chance)
        decisions.append(decision)
        history = decision.history
    return decisions


def test_the_first_death_is_followed_by_a_start_at_once() -> None:
    """A first death costs no waiting."""
    assert die([0.0])[0].delay == 0.0


def test_delays_double_after_the_first() -> None:
    """From the second death on, the range of the delay doubles."""
    delays = [decision.delay for decision in die([0.0, 61.0, 122.0, 183.0, 244.0], chance=0.999999)]
    assert [round(delay, 3) for delay in delays] == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_five_deaths_in_a_minute_are_a_crash_loop_that_waits_near_the_cap() -> None:
    """The fifth death within the period marks the loop, and the delay is between half the cap and the cap."""
    decisions = die([0.0, 1.0, 2.0, 3.0, 4.0])
    assert [decision.looping for decision in decisions] == [False] * 4 + [True]
    assert POLICY.max_delay / 2 <= decisions[-1].delay <= POLICY.max_delay


def test_a_crash_loop_lasts_until_health_does() -> None:
    """Deaths that the loop's own delays have put apart are still the loop; the first after lasting health is none."""
    decisions = die([0.0, 1.0, 2.0, 3.0, 4.0, 60.0, 118.0, 176.0])
    assert [decision.looping for decision in decisions[4:]] == [True] * 4
    assert all(decision.delay >= POLICY.max_delay / 2 for decision in decisions[4:])
    healthy = after_death(POLICY, decisions[-1].history, now=300.0, healthy_for=60.0, chance=0.5)
    assert (healthy.looping, healthy.delay) == (False, 0.0)


def test_deaths_outside_the_period_do_not_count_as_a_loop() -> None:
    """Deaths that are a period apart never mark a loop."""
    assert not any(decision.looping for decision in die([i * 61.0 for i in range(20)]))


def test_lasting_health_forgets_what_was_before() -> None:
    """A death after `forget_after` seconds of health is a first death again."""
    assert die([0.0, 100.0, 200.0], healthy_for=60.0)[-1].delay == 0.0


@given(st.lists(st.floats(0, 1e6), max_size=30), st.floats(0, 0.999999), st.floats(0, 120))
def test_a_delay_is_within_nothing_and_the_cap(gaps: list[float], chance: float, healthy_for: float) -> None:
    """Whatever the deaths, the delay stays between nothing and the cap, and history stays bounded."""
    now, times = 0.0, []
    for gap in gaps:
        now += gap
        times.append(now)
    for decision in die(times, healthy_for=healthy_for, chance=chance):
        assert 0.0 <= decision.delay <= POLICY.max_delay
        assert len(decision.history.deaths) <= POLICY.intensity


@given(st.integers(0, 10_000), st.floats(0, 0.999999))
def test_waiting_for_a_package_is_bounded(failures: int, chance: float) -> None:
    """However often a package could not be had, the next try comes within the cap."""
    assert 0.0 < after_refusal(POLICY, failures, chance=chance) <= POLICY.max_delay
