"""Taking away the head of a file that somebody goes on writing to."""

import ctypes
import errno
import os
import sys

_KEEP_SIZE, _PUNCH_HOLE, _COLLAPSE_RANGE = 1, 2, 8
_NOT_POSSIBLE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


def take_away_head(descriptor: int, size: int) -> bool:
    """Free the first `size` bytes, a multiple of `block_size`; False where the file system can do neither of two ways.

    The bytes behind move to the file's beginning (ext4, XFS), or a hole stays in front of them (tmpfs, Btrfs and others).
    An appending writer is held up by the kernel meanwhile, and loses nothing. Raises OSError.
    """
    if sys.platform != "linux":
        return False
    return _fallocate(descriptor, _COLLAPSE_RANGE, size) or _fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, size)


def block_size(descriptor: int) -> int:
    """Return the size of a file system's blocks."""
    return os.fstatvfs(descriptor).f_frsize


def _fallocate(descriptor: int, mode: int, size: int) -> bool:
    function = ctypes.CDLL(None, use_errno=True).fallocate64
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if function(descriptor, mode, 0, size) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_POSSIBLE:
        return False
    raise OSError(number, os.strerror(number))
