"""Free TCP ports for the instances of this host."""

import socket


def free_ports(count: int) -> list[int]:
    """Return different TCP ports that are free on loopback now; all are held open until the last one is chosen."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()
