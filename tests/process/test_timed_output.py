"""The agent that puts the time before what a Java program prints."""

import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

from magnetar.java.timed_output import AGENT
from requirements import requires

pytestmark = [requires("java"), requires("maven")]
PROGRAM = """
public class Prints {
  public static void main(String[] arguments) throws Exception {
    System.out.print("half ");
    System.out.println("and h\\u00e4lf");
    System.out.println("two\\nlines");
    System.out.println();
    System.err.println("wrong");
    Runnable many = () -> { for (int i = 0; i < 1000; i++) { System.out.println(Thread.currentThread().getName()); } };
    Thread[] threads = {new Thread(many, "one"), new Thread(many, "two")};
    for (Thread each : threads) { each.start(); }
    for (Thread each : threads) { each.join(); }
  }
}
"""
LINE = re.compile(r"(?P<time>\S+,\d{3}[+-]\d{4}) \[(?P<thread>.+?)\] INFO  (?P<stream>std(?:out|err)) - (?P<text>.*)")


def test_each_printed_line_has_its_time_once(tmp_path: Path) -> None:
    """Halves are put together, line ends inside a text count, threads don't mix, and text is UTF-8 in any locale."""
    program = tmp_path / "Prints.java"
    program.write_text(PROGRAM)
    before = time.time()
    command = ["java", f"-javaagent:{AGENT}", str(program)]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}, timeout=60)
    found = [LINE.fullmatch(line) for line in done.stdout.decode().splitlines()]
    lines = [each for each in found if each]
    assert len(lines) == len(found)
    assert [each["text"] for each in lines[:4]] == ["half and hälf", "two", "lines", ""]
    assert {(each["thread"], each["text"]) for each in lines[4:]} == {("one", "one"), ("two", "two")}
    assert len(lines) == 2004
    told = datetime.fromisoformat(lines[0]["time"].replace(",", ".")).timestamp()
    assert before - 1 < told < time.time() + 1
    (wrong,) = done.stderr.decode().splitlines()
    assert LINE.fullmatch(wrong)["stream"] == "stderr"  # type: ignore[index]
