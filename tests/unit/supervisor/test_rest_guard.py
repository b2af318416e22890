import pytest
from magnetar.rest.guard import GuardPolicy, host_name
from magnetar_broker.loopback import is_loopback

LOOPBACK = GuardPolicy("127.0.0.1")
EVERYWHERE = GuardPolicy("0.0.0.0")
NAMED = GuardPolicy("0.0.0.0", ("pulsar.example",))


@pytest.mark.parametrize(
    ("policy", "method", "host", "origin"),
    [
        (LOOPBACK, "POST", "127.0.0.1:8080", None),
        (LOOPBACK, "POST", "localhost:8080", "http://localhost:8080"),
        (LOOPBACK, "DELETE", "[::1]:8080", "http://[::1]:8080"),
        (LOOPBACK, "GET", "localhost:8080", "http://evil.example"),
        (LOOPBACK, "POST", "", None),
        (LOOPBACK, "POST", "me.localhost:8080", None),
        (EVERYWHERE, "POST", "anything.example", None),
        (EVERYWHERE, "POST", "anything.example:8080", "https://anything.example:8080"),
        (NAMED, "POST", "pulsar.example:8080", None),
        (NAMED, "POST", "PULSAR.example", "http://pulsar.example:3000"),
        (GuardPolicy("127.0.0.1", ("tunnel.example",)), "POST", "tunnel.example", None),
    ],
)
def test_lets_through(policy: GuardPolicy, method: str, host: str, origin: str | None) -> None:
    """Clients without an origin, the worker's own pages and allowed hosts may do everything."""
    assert policy.refusal(method, host, origin) is None


@pytest.mark.parametrize(
    ("policy", "method", "host", "origin", "word"),
    [
        (LOOPBACK, "POST", "localhost:8080", "http://evil.example", "Origin"),
        (LOOPBACK, "PUT", "localhost:8080", "http://localhost:3000", "Origin"),
        (LOOPBACK, "DELETE", "localhost:8080", "null", "Origin"),
        (LOOPBACK, "POST", "localhost:8080", "file://", "Origin"),
        (LOOPBACK, "POST", "evil.example:8080", None, "Host"),
        (LOOPBACK, "GET", "evil.example:8080", None, "Host"),
        (LOOPBACK, "POST", "localhost.evil.example", "http://localhost.evil.example", "Host"),
        (LOOPBACK, "POST", "[not an address", None, "Host"),
        (EVERYWHERE, "POST", "a.example", "http://b.example", "Origin"),
        (NAMED, "GET", "other.example", None, "Host"),
    ],
)
def test_refuses(policy: GuardPolicy, method: str, host: str, origin: str | None, word: str) -> None:
    """A foreign origin is refused for what changes something, a foreign host for everything."""
    refusal = policy.refusal(method, host, origin)
    assert refusal
    assert word in refusal


def test_reads_hosts() -> None:
    """Ports, brackets and case do not matter; nonsense is no host."""
    assert host_name("LOCALHOST:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("[bad") == ""
    assert is_loopback("127.9.9.9")
    assert not is_loopback("128.0.0.1")
