import io
import platform
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from class_files import class_file
from magnetar.errors import RefusedError
from magnetar.packages.inspect import check_package, check_shares_process, package_name
from packaging.tags import sys_tags

FUNCTION = b"def process(input):\n    return input\n"
CLASS = b"from pulsar import Function\nclass Hello(Function):\n    def process(self, input, context): return input\n"


@pytest.fixture
def put(tmp_path: Path):  # noqa: ANN201
    def write(content: bytes) -> Path:
        file = tmp_path / "content"
        file.write_bytes(content)
        return file

    return write


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return buffer.getvalue()


def tagged(tag: str) -> bytes:
    return archive({"hello.py": FUNCTION, "hello-1.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode()})


@pytest.mark.parametrize(
    ("content", "filename", "class_name"),
    [
        (FUNCTION, "hello.py", "hello"),
        pytest.param(FUNCTION + b'x = "' + b"y" * 3_000_000 + b'"\n', "hello.py", "hello", id="a large constant"),
        (b"async def process(input):\n    return input\n", "hello.py", "hello"),
        (b"process = lambda value: value\n", "hello.py", "hello"),
        (b"from other import process\n", "hello.py", "hello"),
        (b"from other import *\n", "hello.py", "hello.Anything"),
        (b"def process(input, context): ...\n", "hello.py", "hello"),
        (b"def process(*given): ...\n", "hello.py", "hello"),
        (b"@given_more\ndef process(a, b, c): ...\n", "hello.py", "hello"),
        (b"def process(a, b, c): ...\nprocess = partial(process, 1)\n", "hello.py", "hello"),
        (b"class Hello:\n    def process(self, input): ...\n", "hello.py", "hello.Hello"),
        (CLASS, "hello.py", "hello.Hello"),
        (
            b"try:\n    import fast\nexcept ImportError:\n    class Hello:\n        def process(self, i, c): ...\n",
            "hello.py",
            "hello.Hello",
        ),
        (b"class Base:\n    def process(self, i, c): ...\nclass Hello(Base): pass\n", "hello.py", "hello.Hello"),
        ("# -*- coding: latin-1 -*-\nname = 'é'\ndef process(i): return name\n".encode("latin-1"), "hello.py", "hello"),
        (b"\xef\xbb\xbf" + FUNCTION, "hello.py", "hello"),
        (b"if 1: pass\n" + b"elif 1: pass\n" * 900 + FUNCTION, "hello.py", "hello"),
        (archive({"hello/src/hello.py": FUNCTION}), "hello.zip", "hello"),
        (archive({"other/src/hello.py": FUNCTION, "other/deps/": b""}), "hello.zip", "hello"),
        (archive({"hello.py": FUNCTION}), "any.zip", "hello"),
        (archive({"src/hello.py": FUNCTION}), "any.zip", "hello"),
        (archive({"hello/src/pkg/__init__.py": b"", "hello/src/pkg/mod.py": CLASS}), "hello.zip", "pkg.mod.Hello"),
        (archive({"hello/__init__.py": CLASS}), "hello-1.0-py3-none-any.whl", "hello.Hello"),
        (
            archive({"a/src/x.py": b"", "a/deps/w.whl": archive({"lib/hello.py": b"", "hello.py": b""})}),
            "a.zip",
            "hello.Hello",
        ),
        (tagged("py3-none-any"), "hello-1-py3-none-any.whl", "hello"),
        (tagged(str(next(sys_tags()))), "hello.whl", "hello"),
        (
            archive(
                {
                    "a/src/hello.py": FUNCTION,
                    "a/deps/one-1-cp39-cp39-win_amd64.whl": archive({"one.py": b""}),
                    "a/deps/one-1-py3-none-any.whl": archive({"one.py": b""}),
                }
            ),
            "a.zip",
            "hello",
        ),
    ],
)
def test_accepts_python(put, content: bytes, filename: str, class_name: str) -> None:  # noqa: ANN001
    """Files, Pulsar's zips, flat zips and wheels whose module has the name are accepted, in any declared encoding."""
    check_package(put(content), filename, class_name, "PYTHON")


@pytest.mark.parametrize(
    ("content", "filename", "class_name", "words"),
    [
        (b"", "hello.py", "hello", "empty"),
        (b"def process(input)\n    return input\n", "hello.py", "hello", "hello.py, line 1"),
        (b"def process(input):\n\treturn 1\n        return 2\n", "hello.py", "hello", "line 3"),
        (b"\xff\xfe not utf-8", "hello.py", "hello", "hello.py"),
        (b"# coding: nonsense\n" + FUNCTION, "hello.py", "hello", "nonsense"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "hello.py", "hello", "hello.py"),
        (b"x = 1\n", "hello.py", "hello", "no function process"),
        (CLASS, "hello.py", "hello", "no function process(input); for its class write className hello.Hello"),
        (b"def process(): ...\n", "hello.py", "hello", "line 1: process() can't be called with an input"),
        (b"def process(a, b, c): ...\n", "hello.py", "hello", "write process(input) or process(input, context)"),
        (b"def process(a, *, key): ...\n", "hello.py", "hello", "process(a, *, key) can't be called"),
        (b"class Hello:\n    def process(self): ...\n", "hello.py", "hello.Hello", "line 2: process(self) can't"),
        (CLASS, "hello.py", "hello.Hallo", "no 'Hallo'; it has Hello"),
        (b"class Hello:\n    def run(self): ...\n", "hello.py", "hello.Hello", "no method process"),
        (b"def outer():\n    class Hello: ...\n", "hello.py", "hello.Hello", "no 'Hello'"),
        (FUNCTION, "hello.py", "other.Hello", "write className 'hello.Hello'"),
        (FUNCTION, "hello.txt", "hello", "a text, no Python file"),
        (b"\x7fELF" + bytes(60), "hello.py", "hello", "an ELF program, no Python file"),
        (b"\x1f\x8b123", "hello.tar.gz", "hello", "a gzip archive"),
        (archive({"hello.py": FUNCTION}), "hello.py", "hello", "name it hello.zip"),
        (FUNCTION, "hello.zip", "hello", "not a whole zip archive"),
        (archive({"hello.py": FUNCTION})[:-30], "hello.zip", "hello", "not a whole zip archive"),
        (archive({"hello.py": b"def"}), "hello.zip", "hello", "hello.zip: hello.py, line 1"),
        (archive({"a/src/other.py": FUNCTION}), "a.zip", "hello", "no module 'hello'"),
        (archive({"../hello.py": FUNCTION}), "a.zip", "hello", "leads out of the archive"),
        (archive({"a\\..\\..\\hello.py": FUNCTION}), "a.zip", "hello", "leads out of the archive"),
        (archive({"/etc/hello.py": FUNCTION}), "a.zip", "hello", "leads out of the archive"),
        (archive({"C:/hello.py": FUNCTION}), "a.zip", "hello", "leads out of the archive"),
        (
            archive({"a/src/hello.py": FUNCTION, "a/deps/evil.whl": archive({"../../evil.py": b""})}),
            "a.zip",
            "hello",
            "a.zip: a/deps/evil.whl: the entry '../../evil.py'",
        ),
        (archive({"a/src/hello.py": FUNCTION, "a/deps/cut.whl": b"PK\x03\x04"}), "a.zip", "hello", "cut.whl"),
        (tagged("cp39-cp39-win_amd64"), "hello-1-py3-none-any.whl", "hello", "is a wheel for cp39-cp39-win_amd64, and"),
        (tagged("py2-none-any"), "hello.whl", "hello", "is a wheel for py2-none-any, and"),
        (
            archive({"a/src/hello.py": FUNCTION, "a/deps/one-1-cp39-cp39-win_amd64.whl": archive({"one.py": b""})}),
            "a.zip",
            "hello",
            "a/deps/one-1-cp39-cp39-win_amd64.whl is a wheel for cp39-cp39-win_amd64, and",
        ),
        pytest.param(FUNCTION + b"a;" * 150_000, "hello.py", "hello", "more than 200000 words", id="too many words"),
    ],
)
def test_refuses_python(put, content: bytes, filename: str, class_name: str, words: str) -> None:  # noqa: ANN001
    """What can't be loaded is refused with the file, the line and what would be right."""
    with pytest.raises(RefusedError) as refused:
        check_package(put(content), filename, class_name, "PYTHON")
    assert words in str(refused.value)


def test_tags_count_only_where_the_package_runs_here(put) -> None:  # noqa: ANN001
    """A pod may have another platform."""
    check_package(put(tagged("cp39-cp39-win_amd64")), "hello.whl", "hello", "PYTHON", runs_here=False)


def test_refuses_an_archive_made_to_fill_the_disk(put) -> None:  # noqa: ANN001
    """An archive that grows a hundredfold beyond what code does is refused before anything is unpacked."""
    with pytest.raises(RefusedError, match="fill the disk"):
        check_package(put(archive({"hello.py": FUNCTION, "zeros": bytes(300 * 2**20)})), "a.zip", "hello", "PYTHON")


def test_refuses_a_password(put) -> None:  # noqa: ANN001
    """An encrypted archive is refused by name."""
    content = bytearray(archive({"hello.py": FUNCTION}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    with pytest.raises(RefusedError, match="encrypted"):
        check_package(put(bytes(content)), "a.zip", "hello", "PYTHON")


def test_nothing_is_imported(put, tmp_path: Path) -> None:  # noqa: ANN001
    """Looking into a package runs none of its code."""
    trace = tmp_path / "trace"
    before = set(sys.modules)
    check_package(put(f"open({str(trace)!r}, 'w')\n".encode() + FUNCTION), "hello_unique.py", "hello_unique", "PYTHON")
    assert not trace.exists()
    assert "hello_unique" not in set(sys.modules) - before


@pytest.mark.parametrize("brought", ["a/deps/w.whl", "a/requirements.txt"])
def test_threads_share_no_dependencies(put, brought: str) -> None:  # noqa: ANN001
    """A zip that brings dependencies is refused for the thread runtime, with the runtime that takes it."""
    content = archive({"a/src/hello.py": FUNCTION, brought: archive({"x.py": b""})})
    with pytest.raises(RefusedError, match=r"a\.zip.*process runtime"):
        check_shares_process(put(content), "a.zip")
    check_shares_process(put(FUNCTION), "hello.py")


def elf(machine: int, kind: int = 2) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", kind, machine) + bytes(44)


HERE = {"x86_64": 62, "aarch64": 183}.get(platform.machine(), 62)


def test_accepts_a_program_of_this_machine(put) -> None:  # noqa: ANN001
    """A Go binary for this machine is accepted whatever its name."""
    check_package(put(elf(HERE)), "hello", None, "GO")


def test_accepts_a_program_for_other_machines(put) -> None:  # noqa: ANN001
    """What runs in a pod may be built for another machine than the worker's."""
    check_package(put(elf(183 if HERE == 62 else 62)), "hello", None, "GO", runs_here=False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (elf(183 if HERE == 62 else 62), "GOARCH"),
        (elf(HERE, kind=1), "can't be run"),
        (b"#!/bin/sh\necho\n", "a script, no Go program"),
        (b"package main\n", "a text, no Go program"),
        (b"MZ" + bytes(60), "a Windows program"),
        (b"\xcf\xfa\xed\xfe" + bytes(60), "a macOS program"),
        (b"\x7fELF", "no Go program"),
    ],
)
def test_refuses_go(put, content: bytes, words: str) -> None:  # noqa: ANN001
    """A file that can't run here is named as what it is."""
    with pytest.raises(RefusedError, match=words):
        check_package(put(content), "hello", None, "GO")


NAR = {"META-INF/bundled-dependencies/f.jar": archive({"org/x/Hello.class": b"\xca\xfe"})}


@pytest.mark.parametrize(
    ("content", "class_name"),
    [
        (archive({"org/x/Hello.class": class_file("org/x/Hello")}), "org.x.Hello"),
        (archive({"org/x/Hello$Inner.class": class_file("org/x/Hello$Inner")}), "org.x.Hello$Inner"),
        (archive({"A.class": class_file("A", (), extends="B"), "B.class": class_file("B")}), "A"),
        (archive({"A.class": class_file("A", (), extends="com/other/Base")}), "A"),
        (archive(NAR), "org.x.Hello"),
        (archive({"META-INF/services/pulsar-io.yaml": b"name: x"}), None),
    ],
)
def test_accepts_java(put, content: bytes, class_name: str | None) -> None:  # noqa: ANN001
    """A jar or nar with the class is accepted; a nar may name its class itself."""
    check_package(put(content), "f.jar", class_name, "JAVA")


@pytest.mark.parametrize(
    ("content", "class_name", "words"),
    [
        (b"no jar", "org.x.Hello", "Corrupted Jar File: f.jar is a text"),
        (archive({"org/x/Hello.class": b""})[:20], "org.x.Hello", "not a whole zip"),
        (archive({"org/x/Other.class": b""}), "org.x.Hello", "no such class"),
        (archive({"org/x/Other.class": b""}), None, "className"),
        (archive({"A.class": b"\xca\xfe"}), "A", "className 'A' of f.jar: it is no Java class file"),
        (
            archive({"A.class": class_file("A", ("java/lang/Runnable",))}),
            "A",
            "must either be Function .* 'A' of f.jar",
        ),
    ],
)
def test_refuses_java(put, content: bytes, class_name: str | None, words: str) -> None:  # noqa: ANN001
    """A jar that is none, is cut, or lacks the class is refused."""
    with pytest.raises(RefusedError, match=words):
        check_package(put(content), "f.jar", class_name, "JAVA")


@pytest.mark.parametrize(
    ("given", "class_name", "language", "name"),
    [
        ("hello.py", "hello", "PYTHON", "hello.py"),
        ("/home/me/hello.py", "hello", "PYTHON", "hello.py"),
        ("C:\\me\\hello.py", "hello", "PYTHON", "hello.py"),
        ("../../hello.py", "hello", "PYTHON", "hello.py"),
        ("", "hello.Hello", "PYTHON", "hello.py"),
        ("", "hello", "PYTHON", "hello.py"),
        ("", "org.x.Hello", "JAVA", "x.jar"),
        ("", None, "GO", "function.go"),
    ],
)
def test_names_packages(given: str, class_name: str | None, language: str, name: str) -> None:
    """A package keeps the last part of its name; one without a name is named after its class, as Pulsar does."""
    assert package_name(given, class_name, language) == name


@pytest.mark.parametrize("given", ["..", "a\nb.py", "a\0.py", "x" * 300])
def test_refuses_names(given: str) -> None:
    """A name that no file can have is refused."""
    with pytest.raises(RefusedError, match="file name"):
        package_name(given, "hello", "PYTHON")
