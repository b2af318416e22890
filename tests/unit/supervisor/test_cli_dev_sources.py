from pathlib import Path

import pytest
from magnetar.cli.dev.sources import digest, source
from magnetar.cli.errors import UsageError


def test_a_python_file_needs_no_config(tmp_path: Path) -> None:
    """Its name gives the function's and the topics'; its one class or its function is found."""
    file = tmp_path / "shout.py"
    file.write_text("def process(input):\n    return input\n")
    given = source(file).read()
    assert (given.name.fqfn, given.config.class_name) == ("public/default/shout", "shout")
    assert (given.config.inputs, given.config.output) == (("shout-in",), "shout-out")
    file.write_text("class Shout:\n    async def process(self, input, context):\n        return input\n")
    assert source(file).read().config.class_name == "shout.Shout"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def process(:\n", r"shout\.py, line 1: invalid syntax"),
        ("class A:\n    pass\n", "has neither a function process.input. nor a class"),
        (
            "class A:\n    def process(self): ...\nclass B:\n    def process(self): ...\n",
            "has the functions A, B: name one by className, such as shout.A",
        ),
    ],
)
def test_a_python_file_without_one_function_is_told(tmp_path: Path, code: str, reason: str) -> None:
    """The sentence names the file and what to do."""
    file = tmp_path / "shout.py"
    file.write_text(code)
    with pytest.raises(UsageError, match=reason):
        source(file).read()


def test_a_directory_has_a_config(tmp_path: Path) -> None:
    """Paths in it are seen from beside it; without one the command says how to have one."""
    with pytest.raises(UsageError, match="magnetar init"):
        source(tmp_path)
    (tmp_path / "function.yml").write_text("name: shout\nclassName: shout\npy: shout.py\ninputs: [a]\n")
    with pytest.raises(UsageError, match=r"shout\.py is not there"):
        source(tmp_path).read()
    (tmp_path / "shout.py").write_text("def process(input):\n    return input\n")
    assert source(tmp_path).read().file == tmp_path / "shout.py"


def test_what_is_no_function_is_refused(tmp_path: Path) -> None:
    """A missing path and a file of another kind are told apart."""
    with pytest.raises(UsageError, match="is not there"):
        source(tmp_path / "none.py")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="neither a config"):
        source(tmp_path / "notes.txt")


def test_the_digest_changes_with_code_and_config(tmp_path: Path) -> None:
    """And stays the same while both do."""
    file = tmp_path / "function.yml"
    file.write_text("name: shout\nclassName: shout\npy: shout.py\ninputs: [a]\n")
    (tmp_path / "shout.py").write_text("def process(input):\n    return input\n")
    first = digest(source(file).read())
    assert digest(source(file).read()) == first
    (tmp_path / "shout.py").write_text("def process(input):\n    return input + '!'\n")
    second = digest(source(file).read())
    file.write_text("name: shout\nclassName: shout\npy: shout.py\ninputs: [b]\n")
    assert len({first, second, digest(source(file).read())}) == 3
