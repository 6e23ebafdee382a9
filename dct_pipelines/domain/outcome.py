"""What an action gives back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.matching import shown

LONGEST_SUMMARY = 2_000


class OutcomeStatus(StrEnum):
    """`nothing_to_do` and `partly` are results, not errors."""

    DONE = "done"
    NOTHING_TO_DO = "nothing_to_do"
    PARTLY = "partly"


class Link(Fact):
    """Something to look at: a deployment, a workspace, a report."""

    title: str
    url: str


class Outcome(Fact):
    """What an action did. `outputs` are what later actions see as `steps.<name>.<output>`."""

    status: OutcomeStatus
    summary: str
    outputs: dict[str, Any] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()

    @field_validator("summary")
    @classmethod
    def _one_line(cls, summary: str) -> str:
        """It may quote what somebody else wrote, and is stored, logged and shown in a terminal."""
        return shown(summary, LONGEST_SUMMARY)


def done(summary: str, *, links: tuple[Link, ...] = (), **outputs: Any) -> Outcome:
    """The action did what it was asked."""
    return Outcome(status=OutcomeStatus.DONE, summary=summary, outputs=outputs, links=links)


def nothing_to_do(summary: str, *, links: tuple[Link, ...] = (), **outputs: Any) -> Outcome:
    """It was already so."""
    return Outcome(status=OutcomeStatus.NOTHING_TO_DO, summary=summary, outputs=outputs, links=links)


def partly(summary: str, *, links: tuple[Link, ...] = (), **outputs: Any) -> Outcome:
    """Some of it was done; the summary says what was not."""
    return Outcome(status=OutcomeStatus.PARTLY, summary=summary, outputs=outputs, links=links)
