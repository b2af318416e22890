"""Following the ConfigMap that changeConfigMap names."""

from collections.abc import Callable, Mapping

import anyio

from magnetar.changes import Changes
from magnetar.logs import worker_logger
from magnetar.runtimes.kubernetes.api.client import CONFIG_MAP, KubernetesClient, Manifest
from magnetar.runtimes.kubernetes.api.mirror import Mirror


class ConfigMapFollower:
    """Tells `changed` of a ConfigMap's data, first before `first` is set and then whenever they change."""

    def __init__(
        self, client: KubernetesClient, namespace: str, name: str, changed: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._changes = Changes()
        fields = {"metadata.name": name}
        self._mirror = Mirror(client, CONFIG_MAP, namespace, {}, _data, self._heard, fields=fields)
        self._name = name
        self._changed = changed
        self._log = worker_logger().bind(config_map=f"{namespace}/{name}")
        self.first = anyio.Event()

    def _heard(self, _: str | None) -> None:
        self._changes.announce()

    async def run(self) -> None:
        """Follow for ever; without the ConfigMap, or the right to read it, the file's settings count."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._mirror.run, name="follow changeConfigMap")
            await self._mirror.listed.wait()
            last: Mapping[str, str] | None = None
            while True:
                seen = self._changes.generation
                data = self._mirror.items.get(self._name)
                if data is None and not self.first.is_set() and not self._mirror.problem:
                    self._log.warning("There is no such ConfigMap; the settings of the file count.")
                if data != last:
                    self._changed(data or {})
                    last = data
                self.first.set()
                await self._changes.after(seen)


def _data(config_map: Manifest) -> Mapping[str, str]:
    return dict(config_map.get("data") or {})
