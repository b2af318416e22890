"""The two producers that make a leader: whoever holds them is the only one that can write."""

from magnetar.coordination.settings import CoordinationSettings
from magnetar.pulsar_client import Producer, PulsarClient


class LeaderProducers:
    """The exclusive producers of both topics, or neither."""

    def __init__(self, settings: CoordinationSettings, client: PulsarClient) -> None:
        self._settings = settings
        self._client = client
        self._held: list[Producer] = []

    async def acquire(self) -> None:
        """Take both, assignments first. Raises FencedError while another worker holds one of them."""
        settings = self._settings
        wanted = (
            (settings.assignment_topic, f"{settings.worker_id}-scheduler-manager"),
            (settings.metadata_topic, f"{settings.worker_id}-leader"),
        )
        try:
            for topic, name in wanted:
                self._held.append(await self._client.create_producer(topic, name=name, exclusive=True))
        except BaseException:
            await self.close()
            raise

    @property
    def assignments(self) -> Producer:
        """What writes the assignments."""
        return self._held[0]

    @property
    def functions(self) -> Producer:
        """What writes the functions."""
        return self._held[1]

    async def close(self) -> None:
        """Give up what is held."""
        held, self._held = self._held, []
        for producer in held:
            await producer.close()
