import itertools

import pytest
from magnetar.lifecycle import TRANSITIONS, Event, ImpossibleError, Phase, after

PAIRS = list(itertools.product(Phase, Event))


def test_the_table_has_every_pair_and_no_other() -> None:
    """Whoever adds a phase or an event has to decide what it means everywhere."""
    assert set(TRANSITIONS) == set(PAIRS)


@pytest.mark.parametrize(("phase", "event"), PAIRS)
def test_every_pair_leads_to_a_phase_or_is_refused_by_name(phase: Phase, event: Event) -> None:
    """Nothing falls through: a pair without a successor is a defect, and named as one."""
    if TRANSITIONS[phase, event] is None:
        with pytest.raises(ImpossibleError, match=f"{phase}.*{event}"):
            after(phase, event)
    else:
        assert isinstance(after(phase, event), Phase)


def test_the_usual_life() -> None:
    """An instance starts, runs, dies, waits, starts again and is stopped."""
    phase = Phase.PENDING
    for event in (Event.SPAWN, Event.READY, Event.END, Event.SPAWN, Event.READY, Event.STOP, Event.END):
        phase = after(phase, event)
    assert phase is Phase.STOPPED


def test_what_a_dying_instance_says_does_not_revive_it() -> None:
    """Readiness or a refusal told while an instance is being stopped never leads back to life."""
    assert after(Phase.STOPPING, Event.READY) is Phase.STOPPING
    assert after(Phase.STOPPING, Event.REFUSE) is Phase.STOPPED


@pytest.mark.parametrize("phase", list(Phase))
def test_any_phase_can_be_stopped(phase: Phase) -> None:
    """A request to stop is never refused; what lives is stopping first."""
    assert after(phase, Event.STOP) is (Phase.STOPPING if phase.alive or phase is Phase.STOPPING else Phase.STOPPED)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.alive])
def test_what_lives_is_never_spawned_again(phase: Phase) -> None:
    """Two processes for one instance can't be written down."""
    assert TRANSITIONS[phase, Event.SPAWN] is None


def test_every_phase_can_be_reached_and_left() -> None:
    """No phase is a dead end, and none is unreachable."""
    assert {follows for follows in TRANSITIONS.values() if follows} == set(Phase) - {Phase.PENDING}
    for phase in Phase:
        assert {TRANSITIONS[phase, event] for event in Event} - {None, phase}
