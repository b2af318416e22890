"""What a path given to `magnetar dev` is: a function's config and its code as they are on disk."""

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from magnetar.cli.errors import UsageError
from magnetar.cli.functions.config import Given, read_given
from magnetar.cli.functions.options import FunctionOptions

_CONFIGS = ("function.yml", "function.yaml", "function.json")
_CONFIG_ENDINGS = (".yml", ".yaml", ".json")


@dataclass(frozen=True)
class Source:
    """A function on disk: its config file, or the one Python file that needs none."""

    file: Path

    @property
    def folder(self) -> Path:
        """The directory whose changes may change the function."""
        return self.file.parent

    def read(self) -> Given:
        """Return what would be sent to a worker now. Raises UsageError, ConfigError or RefusedError."""
        if self.file.suffix != ".py":
            return read_given(FunctionOptions(function_config_file=self.file))
        name = self.file.stem
        options = FunctionOptions(
            name=name, py=str(self.file), class_name=target(self.file), inputs=f"{name}-in", output=f"{name}-out"
        )
        return read_given(options)


def source(path: Path) -> Source:
    """Return the function that a path names. Raises UsageError for one that names none."""
    if path.is_dir():
        found = next((path / each for each in _CONFIGS if (path / each).is_file()), None)
        if found is None:
            raise UsageError(f"{path} has no function.yml: write one, or let `magnetar init {path}` write one")
        return Source(found.absolute())
    if not path.is_file():
        raise UsageError(f"{path} is not there: give a function's config, its directory or its Python file")
    if path.suffix not in (".py", *_CONFIG_ENDINGS):
        raise UsageError(f"{path} is neither a config (YAML or JSON) nor a Python file")
    return Source(path.absolute())


def target(file: Path) -> str:
    """Return the class name of a Python file's function: its module, or its one class that processes.

    Raises UsageError where there is no choice or more than one, and for what is no Python.
    """
    try:
        body = ast.parse(file.read_bytes(), file.name).body
    except SyntaxError as error:
        raise UsageError(f"{file.name}, line {error.lineno}: {error.msg}") from None
    if _has_process(body):
        return file.stem
    classes = [each.name for each in body if isinstance(each, ast.ClassDef) and _has_process(each.body)]
    if not classes:
        raise UsageError(
            f"{file.name} has neither a function process(input) nor a class with a method of that name: write one"
        )
    if len(classes) > 1:
        raise UsageError(
            f"{file.name} has the functions {', '.join(classes)}: name one by className, such as {file.stem}.{classes[0]}, "
            "in a function.yml"
        )
    return f"{file.stem}.{classes[0]}"


def _has_process(body: list[ast.stmt]) -> bool:
    from magnetar.packages.python_code import names_bound  # noqa: PLC0415 - keeps help quick

    return any(name == "process" for node in body for name in names_bound(node))


def digest(given: Given) -> str:
    """Return eight digits that change with the config or the package."""
    found = hashlib.sha256(json.dumps(given.values, sort_keys=True, default=str).encode())
    if given.file is not None:
        found.update(given.file.read_bytes())
    return found.hexdigest()[:8]
