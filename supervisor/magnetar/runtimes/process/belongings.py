"""What an instance process has on this host: a copy of its package, ports, a token, a record, a place for its state."""

from pathlib import Path

from magnetar_instance.state import state_address

from magnetar.processes.ports import Ports
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.handover import TOKEN_SUFFIX, credentials_of, in_file
from magnetar.runtimes.log_place import place_of_log
from magnetar.runtimes.package_copy import PackageCopies
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar.runtimes.process.users import Users


class Estate:
    """What all instances of a worker have, and who has what of it."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self.copies = PackageCopies(settings.download_directory)
        self.ports = Ports()
        self.users = Users(settings.users)

    def of(self, spec: InstanceSpec) -> "Belongings":
        """Return what one start has: nothing yet."""
        return Belongings(self, self._settings, spec)


class Belongings:
    """What one start has; `remove` takes back as much of it as there is, whatever went wrong."""

    def __init__(self, estate: Estate, settings: ProcessSettings, spec: InstanceSpec) -> None:
        self._estate = estate
        self._settings = settings
        self._spec = spec
        self._package: Path | None = None
        self._ports: list[int] = []

    @property
    def record(self) -> Path:
        """Where its record is, while its process lives."""
        return self._beside(".json")

    def _beside(self, suffix: str) -> Path:
        spec = self._spec
        return self._settings.records / f"{spec.details.name}-{spec.instance_id}-{spec.function_id}{suffix}"

    async def make(self) -> Place:
        """Give it all that it needs. Raises OSError, RuntimeStartError."""
        spec, estate = self._spec, self._estate
        account = estate.users.of(spec.details)
        log = place_of_log(self._settings.log_directory, spec.details, spec.instance_id, account)
        home = await estate.users.home(spec.details, account)
        self._package = estate.copies.place(spec, account)
        self._ports = port, metrics_port = estate.ports.take(2)
        credentials = in_file(
            credentials_of(self._settings.credentials, spec.auth, spec.fqfn), self._beside(TOKEN_SUFFIX), account
        )
        state = state_address(home) if home and self._settings.python_state_url else ""
        return Place(self._package, port, metrics_port, log, credentials, account, home, state)

    def keep(self, place: Place) -> None:
        """Leave it what it has: another worker gave it."""
        self._package = place.package
        self._ports = [place.port, place.metrics_port]
        self._estate.copies.keep(place.package)
        self._estate.ports.hold(self._ports)

    async def remove(self) -> None:
        """Take all of it back but its log and its state."""
        self.record.unlink(missing_ok=True)
        self._beside(TOKEN_SUFFIX).unlink(missing_ok=True)
        self._estate.ports.give_back(self._ports)
        if self._package is not None:
            await self._estate.copies.remove(self._package)
