"""The user's code of a process of its own: first on sys.path, imported by its own name."""

import importlib
import os
import shutil
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from magnetar_instance.errors import BootError
from magnetar_instance.functions import Process, UserFunction, annotations_of
from magnetar_instance.requirements import Requirements, RequirementsError, requirements_of
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.signatures import takes_context

_STEPS = ("<frozen importlib", importlib.__file__, str(Path(__file__).parent))
"""Whose lines in a traceback say nothing of the user's code: those that import it."""


def load_function(settings: InstanceSettings, *, provided: bool = False) -> UserFunction:
    """Import the function's class or module. Raises BootError with the traceback's last lines.

    `provided` says that what the package asks for is on the path already; else it is installed for a zip, as Pulsar does,
    from its own wheels where they are enough. For any package it is where the command line asks for it.
    """
    target = settings.code.parent / f".{settings.code.name}.unpacked"
    if settings.dependencies.install or (settings.code.suffix == ".zip" and not provided):
        _install(settings, target)
    root = unpack(settings.code, target)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    return function_of(settings.details.className, importlib.import_module)


def function_of(
    class_name: str, load: Callable[[str], ModuleType], close: Callable[[], None] = lambda: None
) -> UserFunction:
    """Return the function that a class name means: `module.Class`, or a module's `process`."""
    module_name, separator, name = class_name.rpartition(".")
    try:
        process = _of_class(load(module_name), name, class_name) if separator else _native(load(class_name))
        with_context = takes_context(process, of_class=bool(separator))
        input_type, output_type = annotations_of(process)
        return UserFunction(process, with_context, load, close, input_type, output_type)
    except BootError:
        raise
    except Exception as error:
        raise BootError(f"{type(error).__name__}: {error}{_remedy(error)}", last_lines(error)) from error


def _remedy(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    return (
        f"; to have {error.name.partition('.')[0]} installed, let the package ask for it: in the dependencies of a comment "
        "`# /// script`, or in requirements.txt of a zip (docs/python-packages.md)"
    )


def _native(module: ModuleType) -> Process:
    process: Process | None = getattr(module, "process", None)
    if not callable(process):
        raise BootError(f"className {module.__name__!r}: the module has no function process(input)")
    return process


def _of_class(module: ModuleType, name: str, class_name: str) -> Process:
    found: Any = getattr(module, name, None)
    if found is None:
        raise BootError(f"className {class_name!r}: the module has no {name!r}")
    made = found()
    if not callable(getattr(made, "process", None)):
        raise BootError(f"className {class_name!r}: the class has no method process(self, input, context)")
    process: Process = made.process
    return process


def last_lines(error: BaseException, count: int = 12) -> tuple[str, ...]:
    """Return the last lines of an error's traceback, without the steps that led to the user's code."""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each is not None:
        theirs = [frame for frame in each.stack if not frame.filename.startswith(_STEPS)]
        each.stack = traceback.StackSummary.from_list(theirs or each.stack)
        each = each.__cause__ or each.__context__
    return tuple("".join(told.format()).splitlines()[-count:])


def _install(settings: InstanceSettings, target: Path) -> None:
    """Install what a package asks for, from the indexes that were named. Raises BootError with the installer's own words."""
    try:
        wanted = requirements_of(settings.code)
    except (RequirementsError, zipfile.BadZipFile, OSError) as error:
        raise BootError(f"{settings.code.name}: {error}") from error
    if wanted is None or not wanted.lines.strip():
        return
    indexes = settings.dependencies
    options = ["--index-url", indexes.repository] if indexes.repository else []
    options += ["--extra-index-url", indexes.extra_repository] if indexes.extra_repository else []
    failed = _run_installer(settings.code, wanted, options, target)
    if failed is not None:
        lines = failed.strip().splitlines()
        reason = lines[-1] if lines else "the installer said nothing"
        raise BootError(f"what {settings.code.name} asks for can't be installed: {reason}", tuple(lines[-12:]))
    sys.path.insert(0, str(target))


def _run_installer(code: Path, wanted: Requirements, options: list[str], target: Path) -> str | None:
    """Install into `target`, from the package's own wheels where they are enough; returns what was said of a failure."""
    import subprocess  # noqa: PLC0415 - few functions ask for anything
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="magnetar-install-") as directory:
        path = wanted.write(code, Path(directory))
        command = [
            *_installer(),
            "--quiet",
            "--target",
            str(target.absolute()),
            "--upgrade",
            "--requirement",
            str(path),
        ]
        own = ["--find-links", str(path.parent / "deps")] if wanted.wheels else []
        for more in ([[*own, "--no-index"]] if own else []) + [[*own, *options]]:
            done = subprocess.run([*command, *more], cwd=directory, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return None
    return done.stderr or done.stdout


def _installer() -> list[str]:
    """Return the command of uv where there is one, else of pip."""
    beside = str(Path(sys.executable).parent)
    if uv := shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])):
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]


def unpack(code: Path, target: Path) -> Path:
    """Return the directory that a function's code is imported from: a zip is unpacked, its `deps/*.whl` beside it.

    The layout is Pulsar's: `<base>/src` holds the code, `<base>/deps` wheels. Raises BootError.
    """
    if code.suffix not in {".zip", ".whl"}:
        return code.parent
    try:
        with zipfile.ZipFile(code) as archive:
            archive.extractall(target)
    except (zipfile.BadZipFile, OSError) as error:
        raise BootError(f"{code.name} can't be unpacked: {error}") from error
    if code.suffix == ".whl":
        return target
    base = _base(target, code)
    for wheel in sorted((base / "deps").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    if str(target) not in sys.path:
        sys.path.insert(0, str(target))
    return base / "src" if (base / "src").is_dir() else target


def _base(target: Path, code: Path) -> Path:
    """Return the folder that holds `src`; a flat zip has none, and its code stands at the top (Pulsar runs both)."""
    named = target / code.stem
    if (named / "src").is_dir():
        return named
    others = [folder for folder in target.iterdir() if (folder / "src").is_dir()]
    return others[0] if len(others) == 1 else target
