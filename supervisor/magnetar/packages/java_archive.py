"""Whether a Java archive holds a function's class, told from its table of contents."""

import zipfile
from pathlib import Path

from magnetar.errors import RefusedError
from magnetar.java.class_file import ClassFileError
from magnetar.java.jar import read_function
from magnetar.packages.archives import open_archive, open_nested
from magnetar.packages.kinds import is_zip, kind_of

_NAR_DESCRIPTOR = "META-INF/services/pulsar-io.yaml"
_NAR_CLASSES = "META-INF/bundled-dependencies/"


def check_java(path: Path, filename: str, class_name: str | None, head: bytes) -> None:
    """Judge a jar or nar. Raises RefusedError."""
    if not is_zip(head):
        raise RefusedError(f"Corrupted Jar File: {filename} is {kind_of(head)}, no jar: send what the build packages")
    with open_archive(path, filename) as archive:
        names = set(archive.namelist())
        if not class_name:
            if _NAR_DESCRIPTOR not in names:
                raise RefusedError(f"Function class name is not provided: give className, {filename} names none")
        elif not _has_class(archive, names, filename, class_name):
            raise RefusedError(f"className {class_name!r}: {filename} has no such class")
        elif f"{class_name.replace('.', '/')}.class" in names:
            _check_interface(archive, filename, class_name)


def _has_class(archive: zipfile.ZipFile, names: set[str], filename: str, class_name: str) -> bool:
    wanted = f"{class_name.replace('.', '/')}.class"
    if wanted in names or f"{_NAR_CLASSES}{wanted}" in names:
        return True
    jars = (name for name in names if name.startswith(_NAR_CLASSES) and name.endswith(".jar"))
    for jar in jars:
        with open_nested(archive, jar, filename) as nested:
            if wanted in nested.namelist():
                return True
    return False


def _check_interface(archive: zipfile.ZipFile, filename: str, class_name: str) -> None:
    try:
        found = read_function(archive, class_name)
    except ClassFileError as error:
        raise RefusedError(f"className {class_name!r} of {filename}: {error}: send what the build packages") from None
    if found.is_function is False:
        raise RefusedError(
            f"User class must either be Function or java.util.Function: className {class_name!r} of {filename} implements "
            "neither of them nor org.apache.pulsar.functions.api.WindowFunction"
        )
