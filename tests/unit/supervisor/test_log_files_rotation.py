import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from magnetar.log_files.head import head_of, mark
from magnetar.log_files.policy import LONGEST_LOOK, SHORTEST_LOOK, Growth, LogPolicy, next_look
from magnetar.log_files.records import LEVELS, Record, Wanted, record_of, since_when
from magnetar.log_files.rotation import prune, rotate_by_renaming, rotate_in_place, size_of_lines

MEMORY = "/dev/shm"
CRASHES = Path(__file__).with_name("rotation_crashes.py")


@pytest.mark.parametrize(
    ("policy", "size", "age", "due"),
    [
        (LogPolicy(max_bytes=10), 9, 1e9, False),
        (LogPolicy(max_bytes=10), 10, 0, True),
        (LogPolicy(max_bytes=0, max_age=60), 10**12, 59, False),
        (LogPolicy(max_bytes=0, max_age=60), 1, 60, True),
        (LogPolicy(max_bytes=0, max_age=60), 0, 60, False),
        (LogPolicy(max_bytes=0, max_age=0), 10**12, 1e9, False),
    ],
)
def test_when_a_log_is_due(policy: LogPolicy, size: int, age: float, due: bool) -> None:
    """By its size, by its age, never when it is empty; 0 is no bound."""
    assert policy.is_due(size, age) is due


@pytest.mark.parametrize(
    ("logs", "seconds"),
    [
        ([], LONGEST_LOOK),
        ([Growth(500)], LONGEST_LOOK),
        ([Growth(500), Growth(0, rate=1000)], 0.5),
        ([Growth(1000, rate=1)], SHORTEST_LOOK),
        ([Growth(0, rate=1e9)], SHORTEST_LOOK),
        ([Growth(0, rate=1)], LONGEST_LOOK),
    ],
)
def test_when_logs_are_looked_at_again(logs: list[Growth], seconds: float) -> None:
    """Before the fastest is full, and seldom while all are quiet."""
    assert next_look(LogPolicy(max_bytes=1000), logs) == pytest.approx(seconds)


def test_keeps_so_many_files(tmp_path: Path) -> None:
    """The newest is number 1; what is beyond the number kept is deleted; a gap in the numbers ends the renaming."""
    log = tmp_path / "f-0.log"
    for number in range(5):
        log.write_text(f"{number}\n")
        rotate_by_renaming(log, 3)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "f-0.log.1": "4\n",
        "f-0.log.2": "3\n",
        "f-0.log.3": "2\n",
    }
    (tmp_path / "f-0.log.1").unlink()
    log.write_text("5\n")
    rotate_by_renaming(log, 3)
    assert [(tmp_path / f"f-0.log.{number}").read_text() for number in (1, 2, 3)] == ["5\n", "3\n", "2\n"]


def test_keeps_no_file(tmp_path: Path) -> None:
    """With none to keep, what is rotated away is deleted."""
    log = tmp_path / "f-0.log"
    log.write_text("x" * 99 + "\n")
    rotate_by_renaming(log, 0)
    assert list(tmp_path.iterdir()) == []
    log.write_text(("x" * 99 + "\n") * 1000)
    assert rotate_in_place(log, 0)
    assert list(tmp_path.iterdir()) == [log]
    assert size_of_lines(log) < 10_000


def test_a_log_keeps_its_positions(tmp_path: Path) -> None:
    """A mark in the log says where the lines before it are, and how many bytes were ever written."""
    log = tmp_path / "f-0.log"
    log.write_text("".join(f"{number:099d}\n" for number in range(1000)))
    assert rotate_in_place(log, 5)
    text = (tmp_path / "f-0.log.1").read_text()
    with log.open("rb") as file:
        head = head_of(file.fileno())
        assert head.first == len(text)
        file.seek(head.offset)
        assert (text + file.read().decode()).count("\n") == 1000
    assert b"are in f-0.log.1 and older files" in log.read_bytes()


def test_what_has_no_line_end_is_cut(tmp_path: Path) -> None:
    """A log of more than a megabyte without the end of a line does not grow for ever; nothing of it is lost."""
    log = tmp_path / "f-0.log"
    log.write_bytes(bytes(range(32, 127)) * 30_000)
    assert rotate_in_place(log, 5)
    with log.open("rb") as file:
        file.seek(head_of(file.fileno()).offset)
        assert (tmp_path / "f-0.log.1").read_bytes() + file.read() == bytes(range(32, 127)) * 30_000


def test_a_mark_must_fit() -> None:
    """A mark is never written over bytes that were not copied."""
    with pytest.raises(ValueError, match="does not fit"):
        mark(0, 20, "f-0.log.1")


def test_prunes_the_oldest_of_a_function(tmp_path: Path) -> None:
    """Rotated files go, oldest first, until all of a function's files are within the bound; the logs themselves stay."""
    for instance in range(2):
        log = tmp_path / f"f-{instance}.log"
        for _ in range(3):
            log.write_bytes(b"x" * 999 + b"\n")
            rotate_by_renaming(log, 5)
        log.write_bytes(b"x" * 1000)
    deleted = prune(tmp_path, 5000)
    assert [path.name for path in deleted] == ["f-0.log.3", "f-0.log.2", "f-0.log.1"]
    assert prune(tmp_path, 5000) == []
    assert len(prune(tmp_path, 0)) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f-0.log", "f-1.log"]


@pytest.mark.parametrize("way", ["reopen", "in-place"])
def test_is_finished_after_a_death_at_any_point(tmp_path: Path, way: str) -> None:
    """Wherever a rotation is interrupted, the next one finishes it, and each line is there once."""
    subprocess.run([sys.executable, str(CRASHES), str(tmp_path), way], check=True, timeout=60)


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="there is no /dev/shm")
def test_is_finished_in_memory_too() -> None:
    """The same where the head of a file leaves a hole."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        subprocess.run([sys.executable, str(CRASHES), directory, "in-place"], check=True, timeout=60)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("[2026-01-01 10:00:00 +0000] [WARNING] a.py: x", Record(1767261600.0, 30)),
        ("2026-01-01T10:00:00,500+0000 [main] WARN  a.B - x", Record(1767261600.5, 30)),
        ("2026-01-01T10:00:00,500Z [pool-1 [x]] ERROR a.B - x", Record(1767261600.5, 40)),
        ('time="2026-01-01T10:00:00Z" level=info msg="x"', Record(1767261600.0, 20)),
        ('{"time": "2026-01-01T10:00:00.500+00:00", "level": "ERROR", "message": "x"}', Record(1767261600.5, 40)),
        ("Traceback (most recent call last):", None),
        ("{no json", None),
        ('{"other": 1}', None),
        ("\tat a.B.c(B.java:1)", None),
        ("", None),
    ],
)
def test_knows_the_records_of_all_languages(line: str, record: Record | None) -> None:
    """Time and level are read from each form; what is none begins no record."""
    assert record_of(line) == record


def test_knows_the_records_of_pulsars_go_library() -> None:
    """Its times are this host's."""
    found = record_of("2026/01/01 10:00:00.250 instance.go:91: [error] x")
    assert found is not None
    assert found.level == LEVELS["ERROR"]
    assert found.time is not None


def test_since_when() -> None:
    """A duration ago or a time; anything else is refused with what it may be."""
    assert since_when("2026-01-01T10:00:00+00:00") == 1767261600.0
    assert since_when("2h") == pytest.approx(since_when("120m"), abs=5)
    with pytest.raises(ValueError, match="neither a duration"):
        since_when("yesterday")
    assert Wanted().everything
