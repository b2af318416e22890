"""Whether wheels are for the Python and the platform that functions run with here, told by their tags."""

import platform
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import PurePosixPath

from packaging.tags import Tag, parse_tag, sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from magnetar.errors import RefusedError
from magnetar.packages.archives import read_entry

_MAX_METADATA = 2**20


def check_wheel(archive: zipfile.ZipFile, filename: str) -> None:
    """Refuse a wheel that is for another Python or platform, by the tags that stand in it: its file may be named anyhow."""
    entry = next((each for each in archive.namelist() if each.endswith(".dist-info/WHEEL")), None)
    if entry is None:
        return
    lines = read_entry(archive, entry, filename, _MAX_METADATA).decode(errors="replace").splitlines()
    tags = {tag for line in lines if line.startswith("Tag:") for tag in _parsed(line[4:].strip())}
    if tags and tags.isdisjoint(_here()):
        raise _refusal(f"{filename} is a wheel", tags)


def check_wheels_of(names: Iterable[str], filename: str) -> None:
    """Refuse an archive's wheels, by their names, where of some distribution none is for this Python and platform."""
    found: dict[str, tuple[str, set[Tag]]] = {}
    for name in names:
        for project, tags in _named(name):
            _, known = found.setdefault(project, (name, set()))
            known |= tags
    for name, all_tags in found.values():
        if all_tags.isdisjoint(_here()):
            raise _refusal(f"{filename}: {name} is a wheel", all_tags)


def _named(name: str) -> Iterator[tuple[str, frozenset[Tag]]]:
    try:
        project, _, _, tags = parse_wheel_filename(PurePosixPath(name).name)
    except InvalidWheelFilename:
        return
    yield project, tags


def _parsed(text: str) -> frozenset[Tag]:
    try:
        return parse_tag(text)
    except ValueError:
        return frozenset()


@cache
def _here() -> frozenset[Tag]:
    return frozenset(sys_tags())


def _refusal(what: str, tags: Iterable[Tag]) -> RefusedError:
    shown = ", ".join(sorted(map(str, tags))[:5])
    return RefusedError(
        f"{what} for {shown}, and functions run with Python {platform.python_version()} on {sysconfig.get_platform()} here: "
        "send one that is built for these, or for any (py3-none-any)"
    )
