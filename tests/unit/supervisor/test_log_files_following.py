from pathlib import Path

import pytest
from magnetar.log_files.following import FollowedLog
from magnetar.log_files.reading import last_lines
from magnetar.log_files.records import LEVELS, Wanted
from magnetar.log_files.rotation import rotate_by_renaming, rotate_in_place

LINE = "line {:06d} " + "x" * 80


def numbered(first: int, end: int) -> list[str]:
    return [LINE.format(number) for number in range(first, end)]


def append(file: Path, lines: list[str]) -> None:
    with file.open("a") as opened:
        opened.write("".join(f"{line}\n" for line in lines))


def rotate(file: Path, way: str) -> None:
    if way == "reopen":
        rotate_by_renaming(file, 5)
    else:
        assert rotate_in_place(file, 5)


both_ways = pytest.mark.parametrize("way", ["reopen", "in-place"])


def test_reads_last_lines(tmp_path: Path) -> None:
    """The last lines are those at the end, however long the file and whether or not its last line is whole."""
    file = tmp_path / "x.log"
    file.write_text("".join(f"line {number}\n" for number in range(50_000)) + "begun")
    assert last_lines(file, 3) == ["line 49998", "line 49999", "begun"]
    assert len(last_lines(file, 20_000)) == 20_000
    assert last_lines(file, 0) == []
    assert len(last_lines(file, 100_000)) == 50_001
    assert last_lines(tmp_path / "absent.log", 3) == []


def test_reads_what_is_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are shown as such, and blank lines are lines."""
    file = tmp_path / "x.log"
    file.write_bytes(b"\xff\n\nend\r\n")
    assert last_lines(file, 10) == ["\ufffd", "", "end"]


@both_ways
def test_reads_last_lines_across_rotated_files(tmp_path: Path, way: str) -> None:
    """A log is one, however often it was rotated; what a rotation leaves in it is no line of it."""
    file = tmp_path / "x.log"
    for part in range(4):
        append(file, numbered(part * 1000, part * 1000 + 1000))
        if part < 3:
            rotate(file, way)
    assert last_lines(file, 10) == numbered(3990, 4000)
    assert last_lines(file, 3500) == numbered(500, 4000)
    assert last_lines(file, 9999) == numbered(0, 4000)


def test_reads_records_that_are_wanted(tmp_path: Path) -> None:
    """Of a level and a time on, with the lines that belong to them, across rotated files; the last so many of those."""
    file = tmp_path / "x.log"
    append(
        file,
        ["[2026-01-01 10:00:00 +0000] [ERROR] a.py: old", "Traceback", "[2026-01-01 10:00:01 +0000] [INFO] a.py: -"],
    )
    rotate(file, "reopen")
    append(
        file, ["[2026-01-01 11:00:00 +0000] [ERROR] a.py: new", "  more", "[2026-01-01 11:00:01 +0000] [INFO] a.py: -"]
    )
    errors = Wanted(level=LEVELS["WARNING"])
    assert last_lines(file, 9, errors)[::2] == [
        "[2026-01-01 10:00:00 +0000] [ERROR] a.py: old",
        "[2026-01-01 11:00:00 +0000] [ERROR] a.py: new",
    ]
    assert last_lines(file, 2, errors)[1] == "  more"
    late = Wanted(since=1767265200.0, level=LEVELS["WARNING"])
    assert last_lines(file, 9, late) == ["[2026-01-01 11:00:00 +0000] [ERROR] a.py: new", "  more"]


def test_follows_growth(tmp_path: Path) -> None:
    """Only whole lines come, each once, beginning with what is written after the opening."""
    file = tmp_path / "x.log"
    file.write_text("before\n")
    growing = FollowedLog(file)
    assert growing.new_lines() == []
    with file.open("a") as opened:
        opened.write("one\ntw")
        opened.flush()
        assert growing.new_lines() == ["one"]
        opened.write("o\n")
    assert growing.new_lines() == ["two"]
    growing.close()


def test_follows_a_renamed_file_to_its_end(tmp_path: Path) -> None:
    """What its writer still appends to the old file is read before the new one."""
    file = tmp_path / "x.log"
    file.write_text("")
    growing = FollowedLog(file)
    with file.open("a") as opened:
        opened.write("old\n")
        opened.flush()
        rotate_by_renaming(file, 5)
        assert growing.new_lines() == ["old"]
        file.write_text("new\n")
        assert growing.new_lines() == []
        opened.write("late\n")
    assert [growing.new_lines() for _ in range(3)] == [["late"], [], ["new"]]
    growing.close()


@both_ways
def test_follows_several_rotations_between_two_looks(tmp_path: Path, way: str) -> None:
    """However far it is behind: each line comes once, as long as its file is kept."""
    file = tmp_path / "x.log"
    append(file, numbered(0, 500))
    growing = FollowedLog(file)
    append(file, numbered(500, 700))
    assert growing.new_lines() == numbered(500, 700)
    for part in range(7, 11):
        append(file, numbered(part * 100, part * 100 + 100))
        rotate(file, way)
    append(file, numbered(1100, 1200))
    found = [line for _ in range(12) for line in growing.new_lines()]
    assert found == numbered(700, 1200)
    growing.close()


@both_ways
def test_goes_on_where_lines_were_deleted(tmp_path: Path, way: str) -> None:
    """Lines whose rotated file is gone are passed over; the rest comes."""
    file = tmp_path / "x.log"
    append(file, numbered(0, 100))
    growing = FollowedLog(file)
    for part in range(1, 4):
        append(file, numbered(part * 100, part * 100 + 100))
        rotate(file, way)
    append(file, numbered(400, 500))
    for number in (1, 2, 3):
        (tmp_path / f"x.log.{number}").unlink()
    found = [line for _ in range(6) for line in growing.new_lines()]
    kept = numbered(100, 500) if way == "reopen" else numbered(400, 500)
    assert found[-100:] == kept[-100:]
    assert set(found) <= set(numbered(100, 500))
    assert len(found) == len(set(found))
    growing.close()


def test_follows_a_file_to_come(tmp_path: Path) -> None:
    """A log that does not exist yet is read from its start once it does."""
    file = tmp_path / "x.log"
    growing = FollowedLog(file)
    assert growing.new_lines() == []
    file.write_text("first\n")
    assert growing.new_lines() == ["first"]
    growing.close()


def test_follows_a_file_that_somebody_empties(tmp_path: Path) -> None:
    """A log that somebody truncates goes on."""
    file = tmp_path / "x.log"
    file.write_text("a long line that goes\n")
    growing = FollowedLog(file)
    file.write_text("kept\n")
    assert growing.new_lines() == ["kept"]
    growing.close()


def test_follows_what_is_wanted_alone(tmp_path: Path) -> None:
    """Lines of lesser records are left out, with what belongs to them."""
    file = tmp_path / "x.log"
    growing = FollowedLog(file, Wanted(level=LEVELS["ERROR"]))
    append(
        file,
        [
            "[2026-01-01 10:00:00 +0000] [ERROR] a.py: bad",
            "Traceback",
            "[2026-01-01 10:00:01 +0000] [INFO] a.py: -",
            "-",
        ],
    )
    assert growing.new_lines() == ["[2026-01-01 10:00:00 +0000] [ERROR] a.py: bad", "Traceback"]
    growing.close()
