"""What a file is, by its first bytes, in words for people. Pure."""

ELF = b"\x7fELF"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
HEAD = 64
"""How many first bytes are enough to tell."""

_KINDS: tuple[tuple[bytes, str], ...] = (
    *((magic, "a zip archive") for magic in ZIP),
    (ELF, "an ELF program"),
    (b"\xca\xfe\xba\xbe", "a Java class file or a macOS program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"MZ", "a Windows program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"#!", "a script"),
)


def kind_of(head: bytes) -> str:
    """Return what a file with these first bytes is, e.g. `a zip archive`."""
    if not head:
        return "an empty file"
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    return "binary data" if b"\0" in head else "a text"


def is_zip(head: bytes) -> bool:
    """Whether a file with these first bytes is a zip archive."""
    return head.startswith(ZIP)
