"""What changed among the comments of a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dct_pipelines.domain.facts import Person, RequestRef
from dct_pipelines.domain.hosting.keys import added_key, comment_subject, deleted_key, edited_key, kept
from dct_pipelines.domain.hosting.reader import HostedComment, HostedState
from dct_pipelines.domain.payloads import CommentAdded, CommentDeleted, CommentEdited, Payload
from dct_pipelines.domain.snapshot import CommentState


@dataclass(frozen=True)
class CommentChange:
    """One change, before it is made an event. `at` None: the host keeps no time of it."""

    key: str
    payload: Payload
    comment_id: str
    at: datetime | None
    actor: Person | None


@dataclass(frozen=True)
class CommentChanges:
    """All comments of now against the stored ones (by subject). What was before `epoch` is no event."""

    hosted: HostedState
    stored: Mapping[str, CommentState]
    epoch: datetime
    request: RequestRef

    def changes(self) -> Iterator[CommentChange]:
        """Additions and edits in the order in which the comments were made, then deletions."""
        for comment in sorted(self.hosted.comments, key=lambda one: (one.created_at, one.id)):
            stored = self.stored.get(self.subject(self.hosted, comment))
            if stored is None and comment.created_at >= self.epoch:
                yield added(comment, self.request)
            elif stored is not None and stored.text != kept(comment.text):
                yield edited(comment, stored.text, self.request)
            elif stored is None and comment.edited_at is not None and comment.edited_at >= self.epoch:
                yield edited(comment, None, self.request)
        for subject in self.gone():
            yield deleted(self.stored[subject], self.request)

    def states(self) -> Iterator[tuple[str, CommentState]]:
        """The comments that are new or different."""
        for comment in self.hosted.comments:
            subject, state = self.subject(self.hosted, comment), self.state(comment)
            if self.stored.get(subject) != state:
                yield subject, state

    def gone(self) -> list[str]:
        """Subjects of stored comments that are no longer there; one that was not understood may be."""
        if not self.hosted.comments_complete:
            return []
        there = {self.subject(self.hosted, comment) for comment in self.hosted.comments}
        return sorted(self.stored.keys() - there)

    @staticmethod
    def subject(hosted: HostedState, comment: HostedComment) -> str:
        """Where the state of a comment is kept."""
        return comment_subject(hosted.number, comment.id)

    @staticmethod
    def state(comment: HostedComment) -> CommentState:
        """The comment as it is stored."""
        return CommentState(
            comment_id=comment.id, author=comment.author, text=kept(comment.text), updated=comment.updated
        )


def added(comment: HostedComment, request: RequestRef) -> CommentChange:
    """The comment is new; when it was edited before anybody looked, its text is the latest."""
    payload = CommentAdded(
        comment_id=comment.id,
        author=comment.author,
        text=kept(comment.text),
        pull_request=request,
        url=comment.url,
    )
    return CommentChange(added_key(comment.id), payload, comment.id, comment.created_at, comment.author)


def edited(
    comment: HostedComment, before: str | None, request: RequestRef, actor: Person | None = None
) -> CommentChange:
    """Its text is another one."""
    after = kept(comment.text)
    payload = CommentEdited(
        comment_id=comment.id,
        author=comment.author,
        before=before,
        after=after,
        pull_request=request,
        url=comment.url,
    )
    key = edited_key(comment.id, comment.updated, after)
    return CommentChange(key, payload, comment.id, comment.edited_at, actor)


def deleted(comment: CommentState, request: RequestRef, actor: Person | None = None) -> CommentChange:
    """It is gone."""
    payload = CommentDeleted(
        comment_id=comment.comment_id, author=comment.author, before=comment.text, pull_request=request
    )
    return CommentChange(deleted_key(comment.comment_id), payload, comment.comment_id, None, actor)
