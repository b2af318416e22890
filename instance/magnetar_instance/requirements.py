"""What a function's package asks to be installed with it: told from the file alone, nothing of it is run.

A `.py` file has inline script metadata (PEP 723), a zip `requirements.txt` beside its `src` (wheels in `deps` come first),
a wheel the requirements in its metadata.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

_BLOCK = re.compile(r"(?m)^# /// (?P<kind>[a-zA-Z0-9-]+)$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")
_FILE = "requirements.txt"
_MARK = b"# /// script"


class RequirementsError(ValueError):
    """Raised when what a package asks for can't be read; the message names the place and what to do."""


@dataclass(frozen=True)
class Requirements:
    """What is asked for: `lines` in the form of requirements.txt, `origin` where it stands, `python` which will do.

    `files` are other lists beside requirements.txt, which it may include; `wheels` names the entries of an archive's `deps`.
    """

    origin: str
    lines: str
    python: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    wheels: tuple[str, ...] = ()

    def write(self, code: Path, directory: Path) -> Path:
        """Write the list, what it may include, and the wheels (into `deps`) to a directory; returns the list's path."""
        for name, content in self.files.items():
            (directory / name).write_bytes(content)
        path = directory / _FILE
        path.write_text(self.lines, encoding="utf-8")
        if self.wheels:
            (directory / "deps").mkdir()
            with zipfile.ZipFile(code) as archive:
                for entry in self.wheels:
                    (directory / "deps" / PurePosixPath(entry).name).write_bytes(archive.read(entry))
        return path


def requirements_of(code: Path, name: str = "") -> Requirements | None:
    """Return what a package asks for, by the kind that its name tells; None when that is nothing.

    Raises RequirementsError, and zipfile.BadZipFile for an archive that is none.
    """
    suffix = PurePosixPath(name or code.name).suffix
    if suffix == ".py":
        return _of_script(code.read_bytes())
    if suffix not in {".zip", ".whl"}:
        return None
    with zipfile.ZipFile(code) as archive:
        return _of_wheel(archive) if suffix == ".whl" else _of_zip(archive)


def _of_script(source: bytes) -> Requirements | None:
    if _MARK not in source:
        return None
    try:
        text = source.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise RequirementsError("inline script metadata: the file is not UTF-8; save it as UTF-8") from None
    blocks = [match["content"] for match in _BLOCK.finditer(text) if match["kind"] == "script"]
    if not blocks:
        return None
    if len(blocks) > 1:
        raise RequirementsError("inline script metadata: there are several blocks named script; keep one")
    lines = blocks[0].splitlines(keepends=True)
    return _of_block("".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))


def _of_block(toml: str) -> Requirements | None:
    import tomllib  # noqa: PLC0415 - most functions have no block

    try:
        block = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise RequirementsError(f"inline script metadata is no TOML: {error}") from None
    if "uv" in block.get("tool", {}):
        raise RequirementsError("inline script metadata: tool.uv is refused; indexes are named in the worker's config")
    dependencies, python = block.get("dependencies", []), block.get("requires-python", "")
    if not _are_lines(dependencies) or not isinstance(python, str):
        raise RequirementsError("inline script metadata: dependencies is a list of strings, requires-python a string")
    found = Requirements("inline script metadata", "".join(f"{each}\n" for each in dependencies), python)
    return found if dependencies or python else None


def _are_lines(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) and "\n" not in each for each in values)


def _of_zip(archive: zipfile.ZipFile) -> Requirements | None:
    names = archive.namelist()
    found = [name for name in names if PurePosixPath(name).name == _FILE and len(PurePosixPath(name).parts) <= 2]
    if not found:
        return None
    path = min(found, key=lambda name: (not _has_source(names, name), name))
    folder = PurePosixPath(path).parent
    beside = [name for name in names if PurePosixPath(name).parent == folder and name.endswith(".txt")]
    return Requirements(
        path,
        _text(archive.read(path), path),
        files={PurePosixPath(name).name: archive.read(name) for name in beside if name != path},
        wheels=tuple(sorted(name for name in names if _is_wheel_below(folder / "deps", name))),
    )


def _has_source(names: list[str], requirements: str) -> bool:
    source = str(PurePosixPath(requirements).parent / "src") + "/"
    return any(name.startswith(source) for name in names)


def _is_wheel_below(folder: PurePosixPath, name: str) -> bool:
    return PurePosixPath(name).parent == folder and name.endswith(".whl")


def _of_wheel(archive: zipfile.ZipFile) -> Requirements | None:
    path = next((name for name in archive.namelist() if name.endswith(".dist-info/METADATA")), None)
    if path is None:
        return None
    from email.parser import HeaderParser  # noqa: PLC0415 - few functions are wheels

    headers = HeaderParser().parsestr(_text(archive.read(path), path))
    lines = "".join(f"{each}\n" for each in _required(headers.get_all("Requires-Dist") or ()))
    python = str(headers.get("Requires-Python") or "")
    return Requirements(path, lines, python) if lines or python else None


def _required(headers: Any) -> Iterator[str]:
    """Yield what is required without any extra."""
    for header in headers:
        requirement = " ".join(str(header).split())
        if not re.search(r";.*\bextra\s*==", requirement):
            yield requirement


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequirementsError(f"{where} is not UTF-8 text; save it as UTF-8") from None
