"""For which head an approval was given: GitLab keeps the time of an approval, not its commit.

Each push makes a version of the merge request. An approval counts for the version that was the newest when
it was given; where its time is not told and there was more than one version, for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from dct_pipelines.clients.gitlab.shapes import Approver, Reviewer, Version
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.hosting.opinions import Review, latest_opinions

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def opinions(
    approvers: Sequence[Approver],
    reviewers: Sequence[Reviewer],
    versions: Sequence[Version],
    noted: Mapping[str, datetime],
    head: str,
) -> tuple[Approval, ...]:
    """Who approved which head, and who asks for changes. `noted`: when, by GitLab's notes."""
    reviews = []
    for approver in approvers:
        when = approver.approved_at or noted.get(approver.user.username)
        of = head_at(versions, when)
        approval = Approval(user=approver.user.person, head=of, state="approved")
        reviews.append(Review(approval, when or _FIRST))
    asking = [reviewer for reviewer in reviewers if reviewer.state == "requested_changes"]
    demands = (Approval(user=one.user.person, head=head, state="changes_requested") for one in asking)
    reviews.extend(Review(demand, _LAST) for demand in demands)
    return latest_opinions(reviews)


def head_at(versions: Sequence[Version], when: datetime | None) -> str:
    """The head at that time; "" when it cannot be told. A push of the very same moment counts as later."""
    if when is None:
        heads = {version.head_commit_sha for version in versions}
        return heads.pop() if len(heads) == 1 else ""
    before = [version for version in versions if version.created_at < when]
    return max(before, key=lambda version: version.created_at).head_commit_sha if before else ""
