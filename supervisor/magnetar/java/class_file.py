"""What a Java class file says of itself: its name, what it extends and implements, the Java it needs. Pure."""

import struct
from dataclasses import dataclass

_MAGIC = 0xCAFEBABE
_FIRST_MAJOR = 44
"""Java 1.1 is 45; each release since adds one: 52 is Java 8, 61 is Java 17."""
_UTF8, _CLASS, _NAME_AND_TYPE, _LONG, _DOUBLE = 1, 7, 12, 5, 6
_REFERENCES = (9, 10, 11)
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}


class ClassFileError(ValueError):
    """Raised when bytes are no class file."""


@dataclass(frozen=True)
class JavaClass:
    """One class; names are written with slashes. `calls` are the methods and fields it refers to, as (class, name)."""

    name: str
    extends: str
    implements: tuple[str, ...]
    release: int
    calls: frozenset[tuple[str, str]]


def read_class(content: bytes) -> JavaClass:
    """Read a class file. Raises ClassFileError."""
    try:
        return _read(content)
    except (struct.error, KeyError, UnicodeDecodeError, IndexError) as error:
        raise ClassFileError("it is no Java class file") from error


def _read(content: bytes) -> JavaClass:
    magic, _, major, count = struct.unpack_from(">IHHH", content)
    if magic != _MAGIC:
        raise ClassFileError("it is no Java class file")
    pool, at = _constants(content, count)
    _, this, parent, interfaces = struct.unpack_from(">HHHH", content, at)
    numbers = struct.unpack_from(f">{interfaces}H", content, at + 8)
    return JavaClass(
        name=pool.class_name(this),
        extends=pool.class_name(parent) if parent else "",
        implements=tuple(pool.class_name(number) for number in numbers),
        release=major - _FIRST_MAJOR,
        calls=frozenset(pool.references()),
    )


@dataclass(frozen=True)
class _Constants:
    texts: dict[int, bytes]
    numbers: dict[int, tuple[int, tuple[int, ...]]]

    def text(self, number: int) -> str:
        return self.texts[number].decode("utf-8", "surrogatepass")

    def class_name(self, number: int) -> str:
        return self.text(self.numbers[number][1][0])

    def references(self) -> list[tuple[str, str]]:
        found = (of for kind, of in self.numbers.values() if kind in _REFERENCES)
        return [(self.class_name(owner), self.text(self.numbers[named][1][0])) for owner, named in found]


def _constants(content: bytes, count: int) -> tuple[_Constants, int]:
    """Return the constant pool and where it ends; long numbers take two places in it."""
    found = _Constants({}, {})
    at, number = 10, 1
    while number < count:
        kind = content[at]
        at += 1
        if kind == _UTF8:
            (size,) = struct.unpack_from(">H", content, at)
            found.texts[number] = content[at + 2 : at + 2 + size]
            at += 2 + size
        else:
            size = _SIZES[kind]
            if kind in (_CLASS, _NAME_AND_TYPE, *_REFERENCES):
                found.numbers[number] = (kind, struct.unpack_from(f">{size // 2}H", content, at))
            at += size
        number += 2 if kind in (_LONG, _DOUBLE) else 1
    return found, at
