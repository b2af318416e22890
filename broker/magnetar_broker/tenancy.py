"""Tenants, namespaces and partitioned topics: names with a few policies, kept as settings."""

from collections.abc import Callable, Iterable

from magnetar_broker.errors import BusyError, ExistsError, InvalidError, NotFoundError

CLUSTER = "standalone"
FOREVER = {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}


class Tenancy:
    """Who has which namespaces; `save` keeps a setting, None deletes it.

    `policies_changed` is told a namespace's policies before they hold, and may refuse them.
    """

    def __init__(
        self, save: Callable[[str, object], None], policies_changed: Callable[[str, dict[str, object]], None]
    ) -> None:
        self._save = save
        self._policies_changed = policies_changed
        self.tenants: dict[str, dict[str, object]] = {}
        self.namespaces: dict[str, dict[str, object]] = {}
        self.partitions: dict[str, int] = {}

    def restore(self, kind: str, name: str, value: object) -> None:
        """Take a setting in that the journal holds."""
        if kind == "partitions":
            if isinstance(value, int):
                self.partitions[name] = value
            else:
                self.partitions.pop(name, None)
            return
        table = self.tenants if kind == "tenant" else self.namespaces
        if isinstance(value, dict):
            table[name] = value
        else:
            table.pop(name, None)
        if kind == "namespace":
            self._policies_changed(name, table.get(name, {}))

    def forget_except(self, keys: set[str]) -> None:
        """Forget what has no setting among some keys: a segment's head names all that there is."""
        for kind, table in (("tenant", self.tenants), ("namespace", self.namespaces), ("partitions", self.partitions)):
            for name in [name for name in table if f"{kind}/{name}" not in keys]:
                self.restore(kind, name, None)

    def settings(self) -> Iterable[tuple[str, object]]:
        """Return all settings, for a new segment."""
        yield from ((f"tenant/{name}", value) for name, value in self.tenants.items())
        yield from ((f"namespace/{name}", value) for name, value in self.namespaces.items())
        yield from ((f"partitions/{name}", value) for name, value in self.partitions.items())

    def create_tenant(self, name: str, info: dict[str, object]) -> None:
        """Create a tenant. Raises ExistsError."""
        if not name or "/" in name:
            raise InvalidError(f"{name!r} is no name of a tenant")
        if name in self.tenants:
            raise ExistsError("Tenant already exist")
        self.put_tenant(name, info)

    def put_tenant(self, name: str, info: dict[str, object]) -> None:
        """Set a tenant's roles; this broker is the one cluster."""
        self.tenants[name] = {"adminRoles": info.get("adminRoles", []), "allowedClusters": [CLUSTER]}
        self._save(f"tenant/{name}", self.tenants[name])

    def tenant(self, name: str) -> dict[str, object]:
        """Return a tenant. Raises NotFoundError."""
        if name not in self.tenants:
            raise NotFoundError("Tenant does not exist")
        return self.tenants[name]

    def delete_tenant(self, name: str) -> None:
        """Delete a tenant without namespaces."""
        self.tenant(name)
        if self.namespaces_of(name):
            raise BusyError("The tenant still has active namespaces")
        del self.tenants[name]
        self._save(f"tenant/{name}", None)

    def namespaces_of(self, tenant: str) -> list[str]:
        """Return a tenant's namespaces as `tenant/name`."""
        return sorted(name for name in self.namespaces if name.startswith(f"{tenant}/"))

    def create_namespace(self, name: str, policies: dict[str, object]) -> None:
        """Create a namespace `tenant/name`. Raises NotFoundError without its tenant, ExistsError."""
        self.tenant(name.split("/", maxsplit=1)[0])
        if name in self.namespaces:
            raise ExistsError("Namespace already exists")
        self.put_policies(name, policies)

    def put_policies(self, name: str, policies: dict[str, object]) -> None:
        """Set a namespace's policies. Raises InvalidError."""
        self._policies_changed(name, policies)
        self.namespaces[name] = policies
        self._save(f"namespace/{name}", policies)

    def change_policies(self, name: str, **changed: object) -> None:
        """Set some of a namespace's policies; None takes one away. Raises NotFoundError, InvalidError."""
        policies = {**self.policies(name), **changed}
        self.put_policies(name, {key: value for key, value in policies.items() if value is not None})

    def policies(self, name: str) -> dict[str, object]:
        """Return a namespace's policies. Raises NotFoundError."""
        if name not in self.namespaces:
            raise NotFoundError("Namespace does not exist")
        return self.namespaces[name]

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace."""
        self.policies(name)
        del self.namespaces[name]
        self._save(f"namespace/{name}", None)

    def set_partitions(self, base: str, count: int | None) -> None:
        """Note a partitioned topic, or that it is none any more."""
        if count is None:
            self.partitions.pop(base, None)
        else:
            self.partitions[base] = count
        self._save(f"partitions/{base}", count)
