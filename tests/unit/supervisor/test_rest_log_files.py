from pathlib import Path

from magnetar.rest.log_files import GrowingFile, last_lines


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


def test_follows_growth(tmp_path: Path) -> None:
    """Only whole lines come, each once, beginning with what is written after the opening."""
    file = tmp_path / "x.log"
    file.write_text("before\n")
    growing = GrowingFile(file)
    assert growing.new_lines() == []
    with file.open("a") as opened:
        opened.write("one\ntw")
        opened.flush()
        assert growing.new_lines() == ["one"]
        opened.write("o\n")
    assert growing.new_lines() == ["two"]
    growing.close()


def test_follows_rotation(tmp_path: Path) -> None:
    """A file that is renamed away is read to its end, then its successor from the start."""
    file = tmp_path / "x.log"
    file.write_text("")
    growing = GrowingFile(file)
    with file.open("a") as opened:
        opened.write("old\n")
    file.rename(tmp_path / "x.log.1")
    file.write_text("new\n")
    assert growing.new_lines() == ["old"]
    assert growing.new_lines() == ["new"]
    growing.close()


def test_follows_a_file_to_come(tmp_path: Path) -> None:
    """A log that does not exist yet is read from its start once it does."""
    file = tmp_path / "x.log"
    growing = GrowingFile(file)
    assert growing.new_lines() == []
    file.write_text("first\n")
    assert growing.new_lines() == ["first"]
    growing.close()


def test_follows_a_file_cut_in_place(tmp_path: Path) -> None:
    """A log whose head was taken away goes on: no line is lost."""
    file = tmp_path / "x.log"
    file.write_text("a long line that goes\n")
    growing = GrowingFile(file)
    file.write_text("kept\n")
    assert growing.new_lines() == ["kept"]
    growing.close()
