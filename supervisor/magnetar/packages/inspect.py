"""Whether a package can be what its function says it is, before anything is stored and nothing is imported."""

from pathlib import Path, PurePosixPath

from magnetar_instance.errors import BootError
from magnetar_instance.isolated_loading import refuse_dependencies

from magnetar.errors import RefusedError
from magnetar.packages.environments import refused_in_threads
from magnetar.packages.java_archive import check_java
from magnetar.packages.kinds import HEAD
from magnetar.packages.programs import check_program
from magnetar.packages.python_code import ARCHIVES, check_python

_SUFFIXES = {"PYTHON": ".py", "JAVA": ".jar", "GO": ".go"}
_MAX_NAME = 200


def check_package(path: Path, filename: str, class_name: str | None, runtime: str, *, runs_here: bool = True) -> None:
    """Judge a file as the package of a function in a language (JAVA, PYTHON or GO).

    `runs_here` is false for what runs on other machines, whose kind is not known. Reads the file and nothing else.
    Raises RefusedError that names the file and what to do.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise RefusedError(f"{filename} is an empty file: send the function's code")
    if runtime == "PYTHON":
        check_python(path, filename, class_name or "", head, runs_here=runs_here)
    elif runtime == "GO":
        check_program(filename, head, runs_here=runs_here)
    else:
        check_java(path, filename, class_name, head)


def check_shares_process(path: Path, filename: str) -> None:
    """Refuse a package that brings dependencies for the thread runtime: all its functions share one set of them."""
    if PurePosixPath(filename).suffix in ARCHIVES:
        try:
            refuse_dependencies(path)
        except BootError as refused:
            raise RefusedError(str(refused).replace(path.name, filename)) from None
    refused_in_threads(path, filename)


def package_name(given: str, class_name: str | None, runtime: str) -> str:
    """Return a safe file name for a package: the one it came with, or one made of the class name, as Pulsar does.

    Raises RefusedError for a name that no file can have.
    """
    base = given.replace("\\", "/").rpartition("/")[2].strip()
    if not base:
        parts = (class_name or "function").split(".")
        base = f"{parts[-2] if len(parts) > 1 else parts[-1]}{_SUFFIXES.get(runtime, '')}"
    if base in {".", ".."} or not base.isprintable() or len(base.encode(errors="replace")) > _MAX_NAME:
        raise RefusedError(f"the package's file name {base[:_MAX_NAME]!r} can't be used: choose a plain, shorter one")
    return base
