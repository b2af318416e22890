"""What an instance that is asked tells of its progress."""

from magnetar.runtimes.base import Progress
from magnetar.runtimes.process.asking import progress_of
from magnetar_instance.proto.control import FunctionStatus


def test_what_failed_is_finished_too() -> None:
    """Else a function that raises would look like one that hangs."""
    status = FunctionStatus(numReceived=9, numSuccessfullyProcessed=3, numUserExceptions=2, numSystemExceptions=1)
    assert progress_of(status) == Progress(received=9, processed=6)
