"""Users of their own for instances: who gets which, what is handed over to them, and what they may not reach."""

import json
import os
import sys
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import magnetar_instance
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.sqlite_state import SqliteState

from magnetar.errors import StartError
from magnetar.host_users import Account, account_named, hand_over, is_mapped, unreachable, why_not_changeable
from magnetar.model.names import FunctionName, name_of
from magnetar.runtimes.base import RuntimeStartError
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.settings import UserSettings
from magnetar.runtimes.state_place import own_state, shared_state

_THE_WORKERS_ALONE = ("broker", "packages", "state")
_PASSED_THROUGH = ("", "instances", "users")
_IMPORTED_LATER = (Path(os.__file__), Path(magnetar_instance.__file__))
"""What stands for all that an instance may import after its start."""


class Users:
    """Accounts by function. Raises StartError when they are wanted and can't be had."""

    def __init__(self, settings: UserSettings) -> None:
        self._policy, self._data = settings.policy, settings.data
        self._named: dict[str, Account] = {}
        self._given: dict[str, int] = {}
        self._handing_over = anyio.CapacityLimiter(1)
        if self._policy.gives_any:
            self._demand_rights()
            self._look_up()
            self._close_directories()

    @property
    def _register(self) -> Path:
        return self._data / "users.json"

    def _demand_rights(self) -> None:
        if why := why_not_changeable():
            raise StartError(f"magnetar.users: instances can't be given users of their own: {why}, or drop the setting")

    def _look_up(self) -> None:
        try:
            self._named = {user: account_named(user) for user in set(self._policy.named.values())}
        except LookupError as error:
            raise StartError(f"magnetar.users.named: {error}") from None
        numbers = self._policy.numbers
        for uid in (*(each.uid for each in self._named.values()), *numbers[:1], *numbers[-1:]):
            if not is_mapped(uid):
                raise StartError(f"magnetar.users: this namespace of users has no user {uid} (see /proc/self/uid_map)")
        try:
            self._given = json.loads(self._register.read_text()) if self._register.exists() else {}
        except (OSError, ValueError) as error:
            raise StartError(
                f"{self._register}: which users functions have can't be read ({error}): restore the file, "
                "or remove it and the directory users beside it"
            ) from None

    def _close_directories(self) -> None:
        """Keep instances out of what is the worker's, and let them through to what is theirs."""
        for names, mode in ((_THE_WORKERS_ALONE, 0o700), (_PASSED_THROUGH, 0o711)):
            for name in names:
                folder = self._data / name
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(mode)

    def of(self, details: FunctionDetails) -> Account | None:
        """Return the account of a function, None where it has the worker's. Raises RuntimeStartError, OSError."""
        name = name_of(details)
        if not self._policy.covers(name):
            return None
        user = self._policy.named_for(name)
        if user is not None:
            return self._named[user]
        uid = self._number(self._policy.whose(name))
        return Account(uid, uid)

    def _number(self, whose: str) -> int:
        given = self._given.get(whose)
        if given is not None and given in self._policy.numbers:
            return given
        taken = {*self._given.values(), *(each.uid for each in self._named.values())}
        number = next((each for each in self._policy.numbers if each not in taken), None)
        if number is None:
            raise RuntimeStartError(
                f"magnetar.users.numbers has no number left for {whose}: make it longer; {self._register} has those given"
            )
        self._given[whose] = number
        partial = self._register.with_suffix(".partial")
        partial.write_text(json.dumps(self._given, indent=1))
        partial.replace(self._register)
        return number

    def fits(self, place: Place, details: FunctionDetails) -> bool:
        """Whether an instance that another worker started runs as the user that it is to have."""
        try:
            wanted = self.of(details)
        except RuntimeStartError:
            return False
        return (wanted.uid if wanted else None) == (place.account.uid if place.account else None)

    async def home(self, details: FunctionDetails, account: Account | None) -> Path | None:
        """Return a function's own directory, handed over to its user; None where it never had a user. Raises OSError."""
        name = name_of(details)
        home = own_state(self._data, name)
        if account is None and not home.is_dir():
            return None
        await anyio.to_thread.run_sync(self._hand_over, name, home, account, limiter=self._handing_over)
        return home

    def _hand_over(self, name: FunctionName, home: Path, account: Account | None) -> None:
        if not home.exists():
            _bring_state(shared_state(self._data), home, name)
        hand_over(home, account)


def demand_reach(launch: Launch, place: Place) -> None:
    """Raise RuntimeStartError, which names the first closed part of a path, unless an instance's user can use its files."""
    if place.account is None:
        return
    program = Path(launch.argv[0])
    later = _IMPORTED_LATER if launch.argv[0] == sys.executable else ()
    for path in (place.package, place.log_file.parent, *([program] if program.is_absolute() else []), *later):
        if (closed := unreachable(place.account, path)) is not None:
            raise RuntimeStartError(
                f"user {place.account}, which the instance is to run as, can't reach {path}: {closed} is closed to it; "
                "open it (chmod o+x, a file o+r), or put it elsewhere"
            )


def _bring_state(shared: Path, home: Path, name: FunctionName) -> None:
    """Begin a function's own directory with what it kept among that of others. Raises OSError."""
    begun = home.with_name(f"{home.name}.{os.getpid()}")
    begun.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept, own = SqliteState(shared, *name), SqliteState(begun, *name)
    with closing(kept), closing(own):
        if kept.path.exists():
            own.take_from(kept.path)
        begun.rename(home)
        kept.clear()
