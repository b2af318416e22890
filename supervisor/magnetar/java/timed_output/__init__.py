"""A Java agent that puts the time before each line that a function prints; `scripts/java_agent` builds it of its source."""

from pathlib import Path

SOURCE = Path(__file__).parent / "TimedOutput.java"
AGENT = Path(__file__).parent / "timed-output.jar"
