"""Java class files for tests, made without a Java compiler."""

import struct
from collections.abc import Sequence

FUNCTION = "org/apache/pulsar/functions/api/Function"


def class_file(
    name: str,
    implements: Sequence[str] = (FUNCTION,),
    *,
    extends: str = "java/lang/Object",
    release: int = 17,
    calls: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return a class without members: what it extends and implements, and the methods that its constants refer to."""
    pool: list[bytes] = []

    def put(*parts: bytes) -> int:
        pool.append(b"".join(parts))
        return len(pool)

    def text(value: str) -> int:
        return put(b"\x01", struct.pack(">H", len(value)), value.encode())

    def named(value: str) -> int:
        return put(b"\x07", struct.pack(">H", text(value)))

    this, parent = named(name), named(extends)
    interfaces = [named(each) for each in implements]
    for owner, method in calls:
        signature = put(b"\x0c", struct.pack(">HH", text(method), text("()V")))
        put(b"\x0b", struct.pack(">HH", named(owner), signature))
    return b"".join(
        (
            struct.pack(">IHH", 0xCAFEBABE, 0, release + 44),
            struct.pack(">H", len(pool) + 1),
            *pool,
            struct.pack(">HHHH", 0x21, this, parent, len(interfaces)),
            struct.pack(f">{len(interfaces)}H", *interfaces),
            bytes(6),
        )
    )
