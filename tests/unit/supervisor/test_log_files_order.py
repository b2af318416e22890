"""Several files of one instance, in the order of time."""

from datetime import UTC, datetime

from magnetar.log_files.order import Written, in_order

HEAD = "2026-11-24T06:49:48,{:03}+0000 [main] INFO  x - "
SECOND = datetime(2026, 11, 24, 6, 49, 48, tzinfo=UTC).timestamp()


def line(milliseconds: int, text: str = "") -> str:
    return HEAD.format(milliseconds) + text


def test_records_of_both_files_are_merged_by_time_with_what_follows_them() -> None:
    """A stack trace stays below its record."""
    log = Written([line(10), "java.lang.Exception", "\tat X", line(30)], SECOND + 1)
    printed = Written([line(20), line(40)], SECOND + 1)
    expected = [line(10), "java.lang.Exception", "\tat X", line(20), line(30), line(40)]
    assert in_order([log, printed]) == expected


def test_a_file_keeps_its_own_order() -> None:
    """Also where its times go back, or two are the same."""
    log = Written([line(30, "a"), line(10, "b")], SECOND)
    printed = Written([line(20, "c"), line(30, "d")], SECOND)
    assert in_order([log, printed]) == [line(20, "c"), line(30, "a"), line(10, "b"), line(30, "d")]


def test_an_offset_counts() -> None:
    """A change of the zone between two records does not turn them round."""
    log = Written(["2026-10-25T02:59:59,000+0200 [m] INFO  a"], 0)
    printed = Written(["2026-10-25T02:00:00,000+0100 [m] INFO  b"], 0)
    assert in_order([printed, log]) == [*log.lines, *printed.lines]


def test_what_the_jvm_prints_at_its_end_is_as_old_as_the_file() -> None:
    """A crash report stands last, though the function printed long before the log's last record."""
    log = Written([line(10), line(900)], SECOND)
    printed = Written([line(5), "# A fatal error has been detected", "# SIGSEGV"], SECOND + 2)
    assert in_order([log, printed]) == [line(5), line(10), line(900), *printed.lines[1:]]


def test_what_stands_before_the_first_record_comes_with_it() -> None:
    """A warning of the JVM's comes with the first print; where nothing was printed, by the time of the file."""
    warning = "OpenJDK 64-Bit Server VM warning: x"
    log = Written([line(10), line(30)], SECOND)
    assert in_order([log, Written([warning, line(20)], SECOND)]) == [line(10), warning, line(20), line(30)]
    assert in_order([log, Written([warning], SECOND + 1)]) == [line(10), line(30), warning]


def test_one_file_is_as_it_is() -> None:
    """Whatever its lines look like."""
    assert in_order([Written(["b", "a"], 0), Written([], 0)]) == ["b", "a"]
