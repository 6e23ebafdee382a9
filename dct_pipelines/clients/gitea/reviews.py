"""Which reviews of a pull request count, and for which head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from dct_pipelines.clients.gitea.shapes import PullReview
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.hosting.opinions import Review, latest_opinions

_STATES: dict[str, Literal["approved", "changes_requested", "commented"]] = {
    "APPROVED": "approved",
    "REQUEST_CHANGES": "changes_requested",
    "COMMENT": "commented",
}
"""PENDING is not sent off yet, REQUEST_REVIEW only asks for one."""


def approvals_of(reviews: Iterable[PullReview]) -> tuple[Approval, ...]:
    """The latest opinion of each reviewer.

    `official` is Gitea's word for a reviewer whose approval counts: somebody who may write, or whom the
    protection of the branch names. `stale` is not needed: an approval holds for the commit that it names.
    """
    found = []
    for review in reviews:
        state = _STATES.get(review.state)
        if state is None or review.user is None:
            continue
        approval = Approval(
            user=review.user.person,
            head=review.commit_id,
            state="dismissed" if review.dismissed else state,
            may_approve=review.official,
        )
        found.append(Review(approval, review.submitted_at))
    return latest_opinions(found)
