"""Which reviews count: the latest opinion of each reviewer. A mere comment is none and takes none back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.matching import same_person


@dataclass(frozen=True, slots=True)
class Review:
    """One review, when it was given, and where it stands now (a dismissed one is `dismissed`)."""

    approval: Approval
    given_at: datetime


def latest_opinions(reviews: Iterable[Review]) -> tuple[Approval, ...]:
    """Of each reviewer the last one, in the order in which they were given.

    Whether it still stands for the present head is the condition's question: see `pr_approved`.
    """
    latest: list[Approval] = []
    for review in sorted(reviews, key=lambda review: review.given_at):
        if review.approval.state != "commented":
            latest = [other for other in latest if not same_person(other.user, review.approval.user)]
            latest.append(review.approval)
    return tuple(latest)
