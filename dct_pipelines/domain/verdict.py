"""What a condition says of an event."""

from __future__ import annotations

from dct_pipelines.domain.facts import Fact


class Verdict(Fact):
    """Yes or no, and why: `because` is a clause for people, e.g. `status went In Progress → Ready for QA`."""

    fired: bool
    because: str


def yes(because: str) -> Verdict:
    """A verdict that fires."""
    return Verdict(fired=True, because=because)


def no(because: str) -> Verdict:
    """A verdict that does not fire."""
    return Verdict(fired=False, because=because)
