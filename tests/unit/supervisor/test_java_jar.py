import io
import zipfile

import pytest
from class_files import FUNCTION, class_file
from magnetar.java.class_file import ClassFileError, read_class
from magnetar.java.jar import FunctionClass, read_function

CONTEXT = "org/apache/pulsar/functions/api/Context"


def jar(**classes: bytes) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in classes.items():
            archive.writestr(f"{name}.class", content)
    return zipfile.ZipFile(buffer)


def test_a_class_file_says_what_it_is() -> None:
    """Its name, its kin, the Java that it needs, what it calls."""
    found = read_class(class_file("a/B", ("I", "J"), extends="a/C", release=11, calls=[(CONTEXT, "getState")]))
    assert (found.name, found.extends, found.implements, found.release) == ("a/B", "a/C", ("I", "J"), 11)
    assert found.calls == {(CONTEXT, "getState")}


@pytest.mark.parametrize("size", [0, 3, 9, 20, 60])
def test_what_is_cut_is_no_class_file(size: int) -> None:
    """Whatever is missing, there is one error."""
    with pytest.raises(ClassFileError):
        read_class(class_file("a/B")[:size])
    with pytest.raises(ClassFileError):
        read_class(b"\xca\xfe\xba\xbe" + bytes(size))


@pytest.mark.parametrize(
    ("classes", "is_function"),
    [
        ({"A": class_file("A")}, True),
        ({"A": class_file("A", ("java/util/function/Function",))}, True),
        ({"A": class_file("A", (), extends="B"), "B": class_file("B", ("I",)), "I": class_file("I")}, True),
        ({"A": class_file("A", ("java/lang/Runnable",))}, False),
        ({"A": class_file("A", (), extends="lib/Base")}, None),
        ({"A": class_file("A", (), extends="A")}, False),
    ],
    ids=["function", "java.util.function", "inherited", "wrong", "unknown", "circle"],
)
def test_a_function_is_known_by_what_it_implements(classes: dict[str, bytes], is_function: bool | None) -> None:
    """Directly, by inheritance inside the jar; what a library outside the jar decides stays open."""
    assert read_function(jar(**classes), "A").is_function is is_function


def test_use_of_state_is_seen_in_the_class_its_parents_and_its_lambdas() -> None:
    """A counter or a state of the context is called by name."""
    plain = class_file("A", calls=[(CONTEXT, "getUserConfigValue"), ("other/Thing", "putState")])
    assert read_function(jar(A=plain), "A") == FunctionClass(is_function=True, release=17, uses_state=False)
    assert read_function(jar(A=class_file("A", calls=[(CONTEXT, "incrCounter")])), "A").uses_state
    inner = class_file("A$1", calls=[(CONTEXT, "putStateAsync")])
    assert read_function(jar(**{"A": plain, "A$1": inner}), "A").uses_state


def test_the_newest_class_says_which_java_is_needed() -> None:
    """A parent that was built for a newer Java counts."""
    classes = {"A": class_file("A", (), extends="B", release=8), "B": class_file("B", (FUNCTION,), release=21)}
    assert read_function(jar(**classes), "A").release == 21


def test_a_missing_class_is_a_key_error() -> None:
    """As for any archive."""
    with pytest.raises(KeyError):
        read_function(jar(A=class_file("A")), "B")
