"""The user's code of a thread: under a private package, so that two functions with a `util.py` each do not meet.

Modules of a function are `_magnetar_function_<n>.<name>` in sys.modules, so that pickling by name and tracebacks work.
Inside them `import` looks into the function's own directory first, whenever it runs. A finder that only answered for `util`
would not do: it is never asked once another function's `util` is in sys.modules.
"""

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from magnetar_instance.errors import BootError
from magnetar_instance.functions import UserFunction
from magnetar_instance.loading import function_of
from magnetar_instance.settings import InstanceSettings

PACKAGE_PREFIX = "_magnetar_function_"
"""What the names of all functions' modules begin with."""
_numbers = itertools.count(1)
_lock = threading.Lock()


class IsolatedCode:
    """One function's code in this process; `close` takes it out again."""

    def __init__(self, code: Path) -> None:
        self._unpacked: Path | None = None
        self._root = self._directory(code)
        self.package = f"{PACKAGE_PREFIX}{next(_numbers)}"
        self._builtins = {**vars(builtins), "__import__": self._import}
        self._importlib = self._own_importlib()
        self._finder = _Finder(self.package, self._builtins)

    def _directory(self, code: Path) -> Path:
        if code.suffix not in {".zip", ".whl"}:
            return code.parent
        refuse_dependencies(code)
        self._unpacked = Path(tempfile.mkdtemp(prefix="magnetar-function-"))
        with zipfile.ZipFile(code) as archive:
            archive.extractall(self._unpacked)
        sources = [folder for folder in self._unpacked.glob("*/src") if folder.is_dir()]
        return sources[0] if len(sources) == 1 else self._unpacked

    def load(self, class_name: str) -> UserFunction:
        """Import the function; its `close` takes it out again. Raises BootError."""
        package = ModuleType(self.package)
        package.__path__ = [str(self._root)]
        with _lock:
            sys.modules[self.package] = package
            sys.meta_path.insert(0, self._finder)
        return function_of(class_name, self.import_module, self.close)

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import a module as `importlib.import_module` does, the function's own first."""
        if name.startswith("."):
            return importlib.import_module(name, package)
        return importlib.import_module(f"{self.package}.{name}" if self._is_own(name) else name)

    def _is_own(self, name: str) -> bool:
        top = name.partition(".")[0]
        return (self._root / f"{top}.py").is_file() or (self._root / top).is_dir()

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and name == "importlib":
            return self._importlib
        if level > 0 or not self._is_own(name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = importlib.import_module(f"{self.package}.{name}")
        if not fromlist:
            return sys.modules[f"{self.package}.{name.partition('.')[0]}"]
        for attribute in fromlist:
            if not hasattr(module, attribute) and hasattr(module, "__path__"):
                importlib.import_module(f"{module.__name__}.{attribute}")
        return module

    def _own_importlib(self) -> ModuleType:
        """Return an `importlib` whose import_module knows the function's own modules."""
        own = ModuleType("importlib")
        vars(own).update(vars(importlib))
        vars(own)["import_module"] = self.import_module
        return own

    def close(self) -> None:
        """Forget the function's modules and remove what was unpacked."""
        with _lock:
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            mine = [name for name in sys.modules if name == self.package or name.startswith(f"{self.package}.")]
            for name in mine:
                del sys.modules[name]
        if self._unpacked is not None:
            shutil.rmtree(self._unpacked, ignore_errors=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules below one private package and gives them builtins of their own."""

    def __init__(self, package: str, own_builtins: dict[str, Any]) -> None:
        self._prefix = f"{package}."
        self._builtins = own_builtins

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(self._prefix):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self._builtins)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, own_builtins: dict[str, Any]) -> None:
        super().__init__(name, path)
        self._builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._builtins
        super().exec_module(module)


def refuse_dependencies(code: Path) -> None:
    """Raise BootError for a package that brings dependencies: threads share one set of them."""
    with zipfile.ZipFile(code) as archive:
        brought = [name for name in archive.namelist() if "/deps/" in name or name.endswith("/requirements.txt")]
    if any(not name.endswith("/") for name in brought):
        raise BootError(
            f"{code.name} brings dependencies ({brought[0]}), which threads would share: use the process runtime"
        )


def load_isolated(settings: InstanceSettings) -> UserFunction:
    """Load a function beside others in this process. Raises BootError."""
    code = IsolatedCode(settings.code)
    try:
        return code.load(settings.details.className)
    except BootError:
        code.close()
        raise
