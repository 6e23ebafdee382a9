"""What the doctor says: one line a check, how bad it is, and how to mend it."""

from __future__ import annotations

from enum import StrEnum

from dct_pipelines.domain.facts import Fact


class Level(StrEnum):
    """How a check went. `fail`: something does not work; `warn`: it does, and will not or should not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Diagnosis(Fact):
    """One check: its theme, what was found in a sentence, and what mends it where it is not `ok`."""

    theme: str
    level: Level
    says: str
    mend: str = ""


class Told(Fact):
    """What a check says, before it is known under which theme."""

    level: Level
    says: str
    mend: str = ""


def ok(says: str) -> Told:
    """All is well."""
    return Told(level=Level.OK, says=says)


def warn(says: str, mend: str) -> Told:
    """It works, and will not always."""
    return Told(level=Level.WARN, says=says, mend=mend)


def fail(says: str, mend: str) -> Told:
    """It does not work."""
    return Told(level=Level.FAIL, says=says, mend=mend)
