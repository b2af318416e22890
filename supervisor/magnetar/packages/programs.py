"""Whether a Go program can run on this machine, told from the head of its file. Pure."""

import platform
import struct

from magnetar.errors import RefusedError
from magnetar.packages.kinds import ELF, kind_of

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 22: "s390x", 21: "ppc64le", 243: "riscv64"}
_SAME = {"amd64": "x86_64", "arm64": "aarch64", "i686": "i386", "armv7l": "arm"}
_EXECUTABLE, _SHARED = 2, 3
_HEADER = 20


def check_program(filename: str, head: bytes, *, runs_here: bool = True) -> None:
    """Judge a Go program by its first bytes, and by this machine's kind when it runs here. Raises RefusedError."""
    if not head.startswith(ELF) or len(head) < _HEADER:
        raise RefusedError(
            f"{filename} is {kind_of(head)}, no Go program: build it with GOOS=linux and send the binary"
        )
    order = ">" if head[5] == 2 else "<"
    kind, number = struct.unpack_from(f"{order}HH", head, 16)
    if kind not in (_EXECUTABLE, _SHARED):
        raise RefusedError(f"{filename} is an ELF file that can't be run (type {kind}): send what go build makes")
    built_for = _MACHINES.get(number, f"machine {number}")
    here = platform.machine()
    if runs_here and built_for != _SAME.get(here, here):
        raise RefusedError(
            f"{filename} is built for {built_for}, this machine is {here}: build it with the right GOARCH"
        )
