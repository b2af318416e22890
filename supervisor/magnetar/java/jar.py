"""What a jar's class is as a function, told from its class files: nothing of it is run."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from magnetar.java.class_file import ClassFileError, JavaClass, read_class

_API = "org/apache/pulsar/functions/api"
FUNCTIONS = (f"{_API}/Function", f"{_API}/WindowFunction", "java/util/function/Function")
_CONTEXTS = tuple(f"{_API}/{name}" for name in ("Context", "BaseContext", "WindowContext"))
_STATE_CALLS = ("Counter", "State", "StateAsync", "CounterAsync", "StateStore")
_MAX_CLASSES = 64


@dataclass(frozen=True)
class FunctionClass:
    """A function's class: `release` is the Java that it needs; `is_function` is None where the jar alone can't tell."""

    is_function: bool | None
    release: int
    uses_state: bool


def read_function(archive: zipfile.ZipFile, class_name: str, prefix: str = "") -> FunctionClass:
    """Return what a class of an archive is. Raises KeyError when it is not there, ClassFileError when it is no class."""
    wanted = class_name.replace(".", "/")
    family = dict(_family(archive, wanted, prefix))
    above = {name for each in family.values() for name in (each.extends, *each.implements) if name}
    outside = {name for name in above - family.keys() if not name.startswith(("java/", f"{_API}/"))}
    found = any(name in above for name in FUNCTIONS)
    return FunctionClass(
        is_function=True if found else None if outside else False,
        release=max(each.release for each in family.values()),
        uses_state=any(_calls_state(each) for each in (*family.values(), *_inner(archive, wanted, prefix))),
    )


def _family(archive: zipfile.ZipFile, wanted: str, prefix: str) -> Iterator[tuple[str, JavaClass]]:
    """Yield a class and all that it extends and implements, as far as the archive has it."""
    todo, seen = [wanted], set[str]()
    while todo and len(seen) < _MAX_CLASSES:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            each = read_class(archive.read(f"{prefix}{name}.class"))
        except KeyError:
            if name == wanted:
                raise
            continue
        yield name, each
        todo += [each.extends, *each.implements]


def _inner(archive: zipfile.ZipFile, wanted: str, prefix: str) -> Iterator[JavaClass]:
    names = [name for name in archive.namelist() if name.startswith(f"{prefix}{wanted}$") and name.endswith(".class")]
    for name in names[:_MAX_CLASSES]:
        try:
            yield read_class(archive.read(name))
        except ClassFileError:
            continue


def _calls_state(each: JavaClass) -> bool:
    return any(owner in _CONTEXTS and method.endswith(_STATE_CALLS) for owner, method in each.calls)
