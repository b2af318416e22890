"""The broker of `magnetar_broker.testing`, as another project's tests have it."""

import os
import select
import signal
import subprocess
import sys

HOLDS_A_BROKER = """
from magnetar_broker.testing import running_broker
with running_broker() as broker:
    print(broker.pid, flush=True)
    input()
"""


def test_a_broker_ends_with_the_program_that_started_it() -> None:
    """A test runner that is killed can't clean up: its broker hears of it by the pipe between them."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as runner:
        assert runner.stdout is not None
        broker = os.pidfd_open(int(runner.stdout.readline()))
        try:
            assert not select.select([broker], [], [], 0)[0]
            runner.send_signal(signal.SIGKILL)
            runner.wait()
            assert select.select([broker], [], [], 50)[0], "the broker still runs"
        finally:
            os.close(broker)
