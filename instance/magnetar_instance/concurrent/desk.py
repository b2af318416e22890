"""What becomes of calls that came back: outputs handed over, failures dealt with, inputs put into rounds to be confirmed."""

import pulsar

from magnetar_instance.concurrent.calls import Call, Member
from magnetar_instance.delivery import Confirmation, Deliveries, Round
from magnetar_instance.failures import Failures
from magnetar_instance.figures import Figures
from magnetar_instance.inputs import Input
from magnetar_instance.outputs import Origin, Outputs


class Desk:
    """Settles calls, on the event loop; `taken` gives what waits to be flushed."""

    def __init__(self, outputs: Outputs, failures: Failures, figures: Figures, deliveries: Deliveries) -> None:
        self._outputs = outputs
        self._failures = failures
        self._figures = figures
        self._deliveries = deliveries
        self._rounds: dict[Input, Round] = {}
        self.waiting = 0
        """How many inputs wait to be flushed."""

    def confirm(self, call: Call) -> Confirmation | None:
        """Return the confirmation that all of a call's inputs wait for, None once it is over."""
        if call.over:
            return None
        if call.confirmation is None:
            call.confirmation = self._deliveries.confirmation_of(call.acknowledged)
        return call.confirmation

    def conclude(self, call: Call, member: Member, outcome: object) -> None:
        """Hand over the result for a message and acknowledge it, or deal with the exception that is the outcome."""
        if isinstance(outcome, BaseException):
            self._failures.tell_of_function(member.message.message_id(), outcome)
            self.fail(call, member, outcome)
        elif self.send(call, member, outcome):
            self.done(call, member)
        elif member.error is not None:
            self.fail(call, member, member.error)

    def send(self, call: Call, member: Member, result: object) -> bool:
        """Hand over a result, as an output of a message; where it can't be, the message has the error."""
        if result is None:
            return True
        origin = Origin(member.entry.topic, member.entry.last, member.message)
        try:
            self._outputs.send(origin, result, lambda: self.confirm(call))
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._failures.tell_around_function(member.message.message_id(), error)
            member.error = error
            return False
        return True

    def forward(self, call: Call, member: Member, topic: str) -> bool:
        """Send a message on to a topic as it is; where that can't be, the message has the error."""
        origin = Origin(member.entry.topic, member.entry.last, member.message)
        try:
            self._outputs.forward(origin, topic, lambda: self.confirm(call))
        except pulsar.PulsarException as error:
            self._failures.tell_around_function(member.message.message_id(), error)
            member.error = error
            return False
        return True

    def tell(self, call: Call, error: BaseException) -> None:
        """Log and count an exception that a call with several messages raised."""
        self._failures.tell_of_function(call.members[-1].message.message_id(), error)

    def done(self, call: Call, member: Member) -> None:
        """Count a message as processed, and have it acknowledged."""
        self._figures.processed(call.took)
        self.acknowledge(call, member)

    def fail(self, call: Call, member: Member, error: BaseException) -> None:
        """Have a message come again, or give it up."""
        apart = lambda: self.confirm(call)  # noqa: E731 - the name is what it is passed as
        if self._failures.is_done_with(member.source, member.message, member.entry, error, apart):
            self.acknowledge(call, member)

    def undecodable(self, member: Member, error: Exception) -> None:
        """Deal with a message that no call can be made of."""
        self._failures.tell_around_function(member.message.message_id(), error)
        call = Call([member])
        self.fail(call, member, error)
        self.close(call)

    def acknowledge(self, call: Call, member: Member) -> None:
        """Have a message acknowledged once what came of its call is confirmed."""
        member.entry.messages.append(member.message)
        member.entry.broken = True
        call.acknowledged.append((member.source, member.entry))

    def close(self, call: Call) -> None:
        """Put a settled call's inputs into the round that is flushed next."""
        call.over = True
        self.waiting += len(call.acknowledged)
        if call.confirmation is not None:
            self._round((call.members or call.settled)[0].source).apart.append(call.confirmation)
            return
        for source, entry in call.acknowledged:
            self._round(source).together.append(entry)

    def _round(self, source: Input) -> Round:
        found = self._rounds.get(source)
        if found is None:
            found = self._rounds[source] = Round(source)
        return found

    def taken(self) -> list[Round]:
        """Return the rounds that wait, which are no longer kept here."""
        rounds, self._rounds, self.waiting = list(self._rounds.values()), {}, 0
        return rounds
