"""Free TCP ports for the instances of this host."""

import socket


class Ports:
    """Chooses ports that are free on loopback, and none twice while it is held: its holder may not listen on it yet."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def take(self, count: int) -> list[int]:
        """Return so many ports, held until they are given back. Raises OSError when the host has none left."""
        sockets: list[socket.socket] = []
        found: list[int] = []
        try:
            while len(found) < count:
                sockets.append(_bound())
                port = int(sockets[-1].getsockname()[1])
                if port not in self._held:
                    found.append(port)
        finally:
            for item in sockets:
                item.close()
        self._held.update(found)
        return found

    def hold(self, ports: list[int]) -> None:
        """Choose none of these until they are given back."""
        self._held.update(ports)

    def give_back(self, ports: list[int]) -> None:
        """Let ports be chosen again."""
        self._held.difference_update(ports)


def _bound() -> socket.socket:
    item = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        item.bind(("127.0.0.1", 0))
    except OSError:
        item.close()
        raise
    return item
