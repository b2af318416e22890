"""A directory of Python code as the zip that a worker takes."""

import atexit
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from magnetar.cli.errors import UsageError

_NOT_CODE = ("__pycache__", "build", "dist", "node_modules")
_DATE = (1980, 1, 1, 0, 0, 0)


def zipped(directory: Path) -> Path:
    """Return a directory as `<its name>.zip`, which is removed when the command ends: the same content makes the same bytes.

    With a `src` it has Pulsar's layout, below a folder of its name; without, its modules stand at the top. Hidden files and
    what tools leave behind stay out. Raises UsageError for one without a file.
    """
    directory = directory.resolve()
    files = sorted(_files(directory))
    if not files:
        raise UsageError(f"--py {directory} has no files: put the function's code there, or into its src")
    folder = Path(tempfile.mkdtemp(prefix="magnetar-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prefix = f"{directory.name}/" if (directory / "src").is_dir() else ""
    made = folder / f"{directory.name}.zip"
    with zipfile.ZipFile(made, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{prefix}{file.relative_to(directory).as_posix()}", _DATE)
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return made


def _files(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if entry.name.startswith(".") or entry.name in _NOT_CODE or entry.suffix in {".pyc", ".egg-info"}:
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
        elif entry.is_file():
            yield entry
