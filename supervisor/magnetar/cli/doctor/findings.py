"""What a look at one thing found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One thing: how it is, and what to do when it is not well."""

    what: str
    verdict: Verdict
    detail: str
    remedy: str = ""
