"""What is written below a pull request: comments, comments on lines, and what reviews say as a whole."""

from __future__ import annotations

from dct_pipelines.clients.gitea.shapes import Comment, PullReview
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import HostedComment
from dct_pipelines.domain.text_rules import LONGEST_TEXT


def written(comment: Comment) -> HostedComment:
    """A comment; those on lines are of the same table of the server, so that all ids differ."""
    return HostedComment(
        id=f"comment-{comment.id}",
        author=comment.user.person if comment.user else Person(),
        text=comment.body[:LONGEST_TEXT],
        created_at=comment.created_at,
        updated=stamp(comment.updated_at),
        edited_at=comment.updated_at if comment.updated_at > comment.created_at else None,
        url=comment.html_url or None,
    )


def said_by(review: PullReview) -> HostedComment:
    """What a review says as a whole. When it was edited is not told: dismissing it moves `updated_at` too."""
    return HostedComment(
        id=f"review-{review.id}",
        author=review.user.person if review.user else Person(),
        text=review.body[:LONGEST_TEXT],
        created_at=review.submitted_at,
        updated=stamp(review.updated_at or review.submitted_at),
        url=review.html_url or None,
    )
