from pathlib import Path

import pytest
from magnetar_instance.requirements import RequirementsError, requirements_of
from wheels import archive, wheel

BLOCK = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "one>=1",\n#   "two",\n# ]\n# ///\n'


def asked(tmp_path: Path, name: str, content: bytes | str) -> tuple[str, str] | None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = requirements_of(file)
    return None if found is None else (found.lines, found.python)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.py", "import one\n", None),
        ("a.py", BLOCK + "import one\n", ("one>=1\ntwo\n", ">=3.11")),
        ("a.py", BLOCK.replace("\n", "\r\n"), ("one>=1\ntwo\n", ">=3.11")),
        ("a.py", BLOCK.replace("script", "other"), None),
        ("a.py", "# /// script\n# ///\n", None),
        ("a.py", "# /// script\n#\n# [tool.black]\n# line-length = 1\n# ///\n", None),
        ("a.zip", archive({"a/src/a.py": ""}), None),
        ("a.zip", archive({"a/src/a.py": "", "a/requirements.txt": "one\n"}), ("one\n", "")),
        ("a.zip", archive({"a.py": "", "requirements.txt": "\ufeffone"}), ("one", "")),
        ("a.zip", archive({"doc/requirements.txt": "no", "z/src/a.py": "", "z/requirements.txt": "one"}), ("one", "")),
        ("a.zip", archive({"a/src/lib/requirements.txt": "no", "a/src/a.py": ""}), None),
        ("a-1-py3-none-any.whl", wheel("a", "1", {"a.py": ""})[1], None),
        ("a-1-py3-none-any.whl", wheel("a", "1", {"a.py": ""}, "one (>=1)")[1], ("one (>=1)\n", "")),
        ("a-1-py3-none-any.whl", wheel("a", "1", {"a.py": ""}, 'one ; extra == "test"')[1], None),
        ("a.jar", archive({"requirements.txt": "one"}), None),
    ],
)
def test_what_a_package_asks_for(tmp_path: Path, name: str, content: bytes | str, expected: object) -> None:
    """Inline metadata, requirements.txt beside the code, and a wheel's own metadata without extras."""
    assert asked(tmp_path, name, content) == expected


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("# /// script\n# dependencies = [\n# ///\n", "TOML"),
        ("# /// script\n# dependencies = 'one'\n# ///\n", "list of strings"),
        ("# /// script\n# dependencies = ['one\\n-r /x']\n# ///\n".replace("'", '"'), "list of strings"),
        ("# /// script\n# requires-python = 3\n# ///\n", "requires-python"),
        ("# /// script\n# [tool.uv]\n# index-url = 'x'\n# ///\n", "tool.uv"),
        (BLOCK + "\n" + BLOCK, "several"),
        (b"# /// script\n# \xff\n# ///\n", "UTF-8"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path: Path, content: bytes | str, named: str) -> None:
    """A block that means nothing is no block that asks for nothing."""
    with pytest.raises(RequirementsError, match=named):
        asked(tmp_path, "a.py", content)


def test_a_package_s_own_wheels_and_lists_are_written_beside_its_requirements(tmp_path: Path) -> None:
    """Names alone count, so that nothing is written anywhere else."""
    file = tmp_path / "a.zip"
    file.write_bytes(
        archive({"a/src/a.py": "", "a/requirements.txt": "-r b.txt", "a/b.txt": "one", "a/deps/one-1.whl": b"wheel"})
    )
    found = requirements_of(file)
    assert found is not None
    made = tmp_path / "made"
    made.mkdir()
    assert found.write(file, made) == made / "requirements.txt"
    assert {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()} == {
        "requirements.txt": b"-r b.txt",
        "b.txt": b"one",
        "deps/one-1.whl": b"wheel",
    }
