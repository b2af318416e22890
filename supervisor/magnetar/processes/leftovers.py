"""What an ended instance left behind: its daemons, which took sessions of their own."""

import signal
from collections.abc import Collection

from magnetar.processes.watch import children, environment_of, signal_group, signal_one

INSTANCE_MARKER = "MAGNETAR_INSTANCE"
"""An environment variable by which the processes of one start of an instance are known, its daemons included."""


def kill_leftovers(parent: int, marker: str, *, known: Collection[int] = ()) -> list[int]:
    """Kill the orphans of an ended instance, and return their process ids.

    They are children of `parent`, the subreaper, by now; the marker tells whose they were. The daemons of instances that
    live carry another one and are left alone. A process that was forked by a zygote's child and never ran a program shows
    the zygote's environment: it is found by its process group alone. Those that are `known` to be something else are not
    looked at: with many instances they are nearly all.
    """
    wanted = marker.encode()
    strangers = children(parent).difference(known)
    left = [pid for pid in strangers if environment_of(pid).get(INSTANCE_MARKER.encode()) == wanted]
    for pid in left:
        signal_group(pid, signal.SIGKILL)
        signal_one(pid, signal.SIGKILL)
    return left
