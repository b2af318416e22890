"""Whether Python code can be loaded under a class name, told without importing a line of it."""

import ast
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from magnetar.errors import RefusedError
from magnetar.packages.archives import open_archive, open_nested, read_entry
from magnetar.packages.kinds import is_zip, kind_of
from magnetar.packages.python_calls import check_call
from magnetar.packages.wheel_tags import check_wheel, check_wheels_of

ARCHIVES = (".zip", ".whl")
_MAX_SOURCE = 16 * 2**20
_MAX_TOKENS = 200_000
"""Words, signs and lines of one module: a parsed one may take a kilobyte of this process's memory for each."""
_TOKEN = re.compile(rb"\w+|[^\w \t\r]")
_Body = Sequence[ast.stmt]


def check_python(path: Path, filename: str, class_name: str, head: bytes, *, runs_here: bool = True) -> None:
    """Judge a .py file, a zip of Pulsar's layout or a wheel, whose tags count where it `runs_here`. Raises RefusedError."""
    suffix = PurePosixPath(filename).suffix
    if suffix in ARCHIVES:
        with open_archive(path, filename) as archive:
            _check_archive(archive, filename, class_name)
            if runs_here:
                _check_tags(archive, filename)
    elif is_zip(head):
        raise RefusedError(f"{filename} is a zip archive, no Python file: name it {PurePosixPath(filename).stem}.zip")
    elif suffix != ".py" or b"\0" in head:
        raise RefusedError(f"{filename} is {kind_of(head)}, no Python file: send a .py file, a .zip or a .whl")
    else:
        _check_file(path, filename, class_name)


def _check_file(path: Path, filename: str, class_name: str) -> None:
    module, wanted = _split(class_name)
    stem = PurePosixPath(filename).stem
    if module != stem:
        right = f"{stem}.{wanted}" if wanted else stem
        raise RefusedError(
            f"className {class_name!r} names the module {module!r}, but the package is {filename}: "
            f"write className {right!r}, or name the file {module.rpartition('.')[2]}.py"
        )
    if path.stat().st_size > _MAX_SOURCE:
        raise RefusedError(f"{filename} has more than {_MAX_SOURCE >> 20} MiB of source; put data into a zip beside it")
    check_source(path.read_bytes(), filename, class_name)


def check_source(source: bytes, filename: str, class_name: str) -> None:
    """Parse a module and look for what the class name means in it. Raises RefusedError."""
    if sum(1 for _ in _TOKEN.finditer(source)) > _MAX_TOKENS:
        raise RefusedError(
            f"{filename} has more than {_MAX_TOKENS} words and signs: split the module, and put data into files beside it"
        )
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        at = f", line {error.lineno}" if error.lineno else ""
        raise RefusedError(f"{filename}{at}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(f"{filename} can't be parsed as Python: {error}") from None
    _, wanted = _split(class_name)
    if wanted is None:
        if not _defines(tree.body, "process"):
            raise RefusedError(
                f"className {class_name!r}: {filename} has no function process(input){_meant(tree.body, class_name)}"
            )
        check_call(_binding(tree.body, "process"), filename, method=False)
    elif not _defines(tree.body, wanted):
        raise RefusedError(f"className {class_name!r}: {filename} has no {wanted!r}{_found(tree.body)}")
    elif _lacks_process(tree.body, wanted):
        raise RefusedError(
            f"className {class_name!r}: the class in {filename} has no method process(self, input, context)"
        )
    else:
        for found in _classes(tree.body, wanted):
            check_call(_binding(found.body, "process"), filename, method=True)


def _split(class_name: str) -> tuple[str, str | None]:
    """Return the module and, unless the class name is the module alone, the name in it."""
    module, separator, name = class_name.rpartition(".")
    return (module, name) if separator else (class_name, None)


def _statements(body: _Body) -> Iterator[ast.AST]:
    """Yield what a module or class executes at its top, inside its if, try and with blocks too, in no order."""
    waiting = list(body)
    while waiting:
        statement = waiting.pop()
        yield statement
        if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody", "handlers"):
                waiting += getattr(statement, block, [])


def names_bound(statement: ast.AST) -> Iterator[str]:
    """Yield the names that a statement gives to something; `*` for all of a module's."""
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Import(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case ast.Assign(targets=targets):
            yield from (node.id for each in targets for node in ast.walk(each) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _defines(body: _Body, wanted: str) -> bool:
    """Whether a name is bound at the top; a star import may bind any."""
    return any(_binding(body, wanted))


def _binding(body: _Body, wanted: str) -> Iterator[ast.AST]:
    """Yield what may bind a name at the top."""
    return (each for each in _statements(body) if any(name in (wanted, "*") for name in names_bound(each)))


def _lacks_process(body: _Body, wanted: str) -> bool:
    """Whether the name is a plain class without `process`; one with bases or decorators may get it from there."""
    classes = _classes(body, wanted)
    return bool(classes) and all(
        not (each.bases or each.keywords or each.decorator_list) and not _defines(each.body, "process")
        for each in classes
    )


def _classes(body: _Body, wanted: str) -> list[ast.ClassDef]:
    return [each for each in _statements(body) if isinstance(each, ast.ClassDef) and each.name == wanted]


def _meant(body: _Body, module: str) -> str:
    """Return what the class name may have been meant for: the module's classes that process."""
    classes = [each for each in _statements(body) if isinstance(each, ast.ClassDef)]
    names = sorted(f"{module}.{each.name}" for each in classes if _defines(each.body, "process"))
    return f"; for its class write className {' or '.join(names[:10])}" if names else ""


def _found(body: _Body) -> str:
    classes = sorted({each.name for each in _statements(body) if isinstance(each, ast.ClassDef)})
    return f"; it has {', '.join(classes[:10])}" if classes else ""


def _check_archive(archive: zipfile.ZipFile, filename: str, class_name: str) -> None:
    module, _ = _split(class_name)
    names = set(archive.namelist())
    for entry in _candidates(names, filename, module):
        if entry in names:
            check_source(read_entry(archive, entry, filename, _MAX_SOURCE), f"{filename}: {entry}", class_name)
            _check_wheels(archive, names, filename)
            return
    carried = _check_wheels(archive, names, filename)
    tails = {f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"}
    from_requirements = any(PurePosixPath(name).name == "requirements.txt" for name in names)
    if not (carried & tails or from_requirements or _is_compiled(names, module)):
        raise RefusedError(
            f"className {class_name!r}: {filename} has no module {module!r}; it is looked for at the top, "
            "in src and in <folder>/src, and in the wheels of deps"
        )


def _check_tags(archive: zipfile.ZipFile, filename: str) -> None:
    """Judge the wheels that are unpacked as they are; where there is a requirements.txt, the resolver chooses among them."""
    names = archive.namelist()
    if PurePosixPath(filename).suffix == ".whl":
        check_wheel(archive, filename)
    elif not any(PurePosixPath(name).name == "requirements.txt" for name in names):
        check_wheels_of((name for name in names if PurePosixPath(name).parent.name == "deps"), filename)


def _candidates(names: set[str], filename: str, module: str) -> Iterator[str]:
    """Yield where a module may stand: in `<name of the zip>/src`, any `<folder>/src`, `src`, or at the top."""
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    own = PurePosixPath(filename).stem
    roots = [f"{own}/src/", *(f"{folder}/src/" for folder in folders if folder != own), "src/", "", f"{own}/"]
    for root in roots:
        for tail in (".py", "/__init__.py"):
            yield f"{root}{module.replace('.', '/')}{tail}"


def _is_compiled(names: set[str], module: str) -> bool:
    stem = module.replace(".", "/")
    return any(name.endswith((".so", ".pyc")) and f"/{name}".find(f"/{stem}.") >= 0 for name in names)


def _check_wheels(archive: zipfile.ZipFile, names: set[str], filename: str) -> set[str]:
    """Judge the archives that are unpacked with the package, and return the names of what they hold."""
    carried: set[str] = set()
    for entry in sorted(names):
        if PurePosixPath(entry).suffix in ARCHIVES and PurePosixPath(entry).parent.name == "deps":
            with open_nested(archive, entry, filename) as wheel:
                carried.update(wheel.namelist())
    return carried
