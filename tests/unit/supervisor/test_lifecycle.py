import itertools

import pytest
from magnetar.lifecycle import TRANSITIONS, Event, ImpossibleError, Phase, after


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(Phase, Event)))
def test_every_pair_is_decided(phase: Phase, event: Event) -> None:
    """A pair either leads to a phase or is refused by name; nothing else can happen."""
    if (phase, event) in TRANSITIONS:
        assert isinstance(after(phase, event), Phase)
    else:
        with pytest.raises(ImpossibleError, match=f"{phase}.*{event}"):
            after(phase, event)


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


def test_any_phase_can_be_stopped() -> None:
    """A request to stop is never refused."""
    for phase in Phase:
        assert after(phase, Event.STOP) in {Phase.STOPPING, Phase.STOPPED}
