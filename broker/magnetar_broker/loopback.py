"""What reaches this host alone."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this host alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
