"""Users of this host: what changing to them takes, and work in their directories with their rights instead of the worker's.

A function may put anything into a directory of its own, a symbolic link to a file that only the worker may read included.
So the worker never goes there as itself: the kernel judges each of its steps as the directory's owner's.
"""

import ctypes
import os
import platform
import pwd
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SETGROUPS = {"x86_64": 116, "aarch64": 159}
"""The call itself: the C library's function changes the groups of all threads."""
_NEEDED = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_NEEDED["CAP_SYS_PTRACE"] = 19  # the marks of other users' processes are in their environments
_NOBODY_ELSE = 0o700
_LIBRARY = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """A user of this host with one group; `home` is empty where the host knows none."""

    uid: int
    gid: int
    name: str = ""
    home: str = ""

    def __str__(self) -> str:
        return self.name or str(self.uid)


def account_named(user: str) -> Account:
    """Return the account of a name, or of a number. Raises LookupError with a sentence."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal() and int(user):
            return Account(int(user), int(user))
        raise LookupError(f"{user!r} is no user of this host: create it (useradd --system {user})") from None
    if entry.pw_uid == 0:
        raise LookupError(f"{user!r} is the superuser, from whom nothing is safe: name another user")
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def why_not_changeable() -> str:
    """Return why this process can't give its children other users, empty when it can."""
    if sys.platform != "linux" or platform.machine() not in _SETGROUPS:
        return (
            f"it is known how on Linux on {' and '.join(_SETGROUPS)}, and this is {sys.platform} {platform.machine()}"
        )
    if os.geteuid() != 0:
        return f"the worker runs as user {os.geteuid()}, and only root may: start it as root"
    mask = _capabilities()
    if missing := [name for name, bit in _NEEDED.items() if not mask >> bit & 1]:
        return f"the worker is root without {', '.join(missing)}: grant it (of a container: --cap-add)"
    return ""


def is_mapped(uid: int) -> bool:
    """Whether this user namespace has such a user."""
    with suppress(OSError, ValueError), open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123
        ranges = [tuple(map(int, line.split())) for line in file]
        return any(begin <= uid < begin + count for begin, _, count in ranges)
    return True


def _capabilities() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        line = next((line for line in file if line.startswith("CapEff:")), "CapEff: 0")
    return int(line.split()[1], 16)


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Have this thread's access to files judged as an account's; what it creates is that account's.

    Nothing may be awaited meanwhile. Raises PermissionError where that is not possible.
    """
    groups, uid, gid = os.getgroups(), os.geteuid(), os.getegid()
    try:
        _set_groups([])
        _LIBRARY.setfsgid(account.gid)
        _LIBRARY.setfsuid(account.uid)
        if _LIBRARY.setfsuid(-1) != account.uid:
            raise PermissionError(f"the worker may not act as user {account}")
        yield
    finally:
        _LIBRARY.setfsuid(uid)
        _LIBRARY.setfsgid(gid)
        _set_groups(groups)


def _set_groups(groups: list[int]) -> None:
    """Set the further groups of this thread alone."""
    number = _SETGROUPS.get(platform.machine())
    if number is None or _LIBRARY.syscall(number, len(groups), struct.pack(f"{len(groups)}I", *groups)):
        raise PermissionError("the worker may not change its groups")


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Act as the user whose directory this is, where it is another one's and this process is root.

    The directory itself must stand where its owner can't replace it.
    """
    owner = _other_owner(directory)
    if owner is None:
        yield
        return
    with acting_as(owner):
        yield


def _other_owner(directory: Path) -> Account | None:
    if os.geteuid() != 0:
        return None
    with suppress(OSError):
        found = directory.lstat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    return None


def hand_over(directory: Path, account: Account | None) -> None:
    """Make a directory and the files in it one account's alone; without one the worker's own again. Raises OSError.

    It is made where it is missing, and must stand where no function can replace it.
    """
    directory.mkdir(mode=_NOBODY_ELSE, parents=True, exist_ok=True)
    if account is None and _other_owner(directory) is None:
        return
    uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
    if account is not None and stat.S_IMODE(directory.lstat().st_mode) != _NOBODY_ELSE:
        directory.chmod(_NOBODY_ELSE)
    if directory.lstat().st_uid == uid:
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            # Whoever had it before may have put links to other files there.
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink == 1:
                os.chown(entry.path, uid, gid, follow_symlinks=False)
    os.chown(directory, uid, gid, follow_symlinks=False)


def unreachable(account: Account, path: Path) -> Path | None:
    """Return the first part of a path that an account can't look into, None when it can read the whole."""
    real = path.resolve()
    with acting_as(account):
        for folder in reversed(real.parents):
            try:
                os.stat(folder / ".")  # noqa: PTH116 - pathlib drops the dot, which is what asks for the right to enter
            except OSError:
                return folder
        try:
            os.close(os.open(real, os.O_RDONLY))
        except OSError:
            return real
    return None
