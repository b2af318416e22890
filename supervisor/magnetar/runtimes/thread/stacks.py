"""Where a thread is: the line of the user's code that it has not come back from."""

import sys
import traceback
from pathlib import Path
from types import FrameType

from magnetar_instance.isolated_loading import PACKAGE_PREFIX


def where(thread_id: int, code: Path) -> str:
    """Return `file:line in name` of the innermost frame of a thread that is in the user's code, below `code` or unpacked.

    Where it is in none of the user's files, the innermost frame of all; empty when the thread has ended.
    """
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - the documented way to see another thread's stack
    if frame is None:
        return ""
    frames = list(traceback.walk_stack(frame))
    own = (each for each in frames if _is_users(each[0], code))
    found, line = next(own, frames[0])
    return f"{found.f_code.co_filename}:{line} in {found.f_code.co_name}"


def _is_users(frame: FrameType, code: Path) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.startswith(PACKAGE_PREFIX) or Path(frame.f_code.co_filename).is_relative_to(code)


def stack_of(thread_id: int) -> str:
    """Return the stack of a thread as text, oldest call first; empty when it has ended."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001
    return "" if frame is None else "".join(traceback.format_stack(frame))
