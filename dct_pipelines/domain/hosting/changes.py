"""What changed at a pull request: the host's state of now against the stored one. Builds a page's content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import Person, RequestRef
from dct_pipelines.domain.hosting.comments import CommentChanges
from dct_pipelines.domain.hosting.keys import kept, marks_in, opened_id, subject_of
from dct_pipelines.domain.hosting.reader import HostedState
from dct_pipelines.domain.hosting.token import RequestsToken
from dct_pipelines.domain.payloads import Payload, PullRequestAssessed, TextChanged
from dct_pipelines.domain.repository.history import clean
from dct_pipelines.domain.snapshot import CommentState, PullRequestState, Snapshot, State
from dct_pipelines.domain.words import CheckState

LONGEST_TITLE = 1000
Checks = Mapping[str, CheckState]


@dataclass(frozen=True)
class Known:
    """What is stored of a pull request: its state, and its comments by subject."""

    state: PullRequestState | None
    comments: Mapping[str, CommentState] = field(default_factory=dict)


@dataclass
class RequestChanges:
    """Collects what one page stores. `token` is the one that the read began this page with."""

    item_id: UUID
    now: datetime
    token: RequestsToken
    events: list[EventDraft] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def has_any(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.events or self.snapshots or self.removed)

    def take_as_it_is(self, hosted: HostedState, checks: Checks) -> None:
        """The first read: no events."""
        self._keep(_state_of(hosted, checks))
        for comment in hosted.comments:
            self._snapshot(CommentChanges.subject(hosted, comment), CommentChanges.state(comment))

    def take(self, hosted: HostedState, checks: Checks, known: Known) -> None:
        """A later read: what is different becomes events. An older answer than the last one is not used."""
        stored = known.state
        if stored is not None and _is_older(hosted, stored):
            return
        self._texts(hosted, stored)
        comments = CommentChanges(hosted, known.comments, self._epoch, _ref(hosted))
        for change in comments.changes():
            actor, at = change.actor, change.at or self.now
            key = key_of(change.key, self.item_id)
            self._event(hosted.number, key, change.payload, at, actor, (change.comment_id,))
        for subject, comment in comments.states():
            self._snapshot(subject, comment)
        self.removed.extend(comments.gone())
        state = _state_of(hosted, checks)
        is_new = stored is None and hosted.created_at >= self._epoch
        if stored is not None or is_new or hosted.is_open:
            self._assess(state, stored, _opening(hosted) if is_new else (), hosted.updated_at)
        if state != stored:
            self._keep(state)

    def checked(self, stored: PullRequestState, checks: Checks) -> None:
        """Checks of the head of a pull request that is otherwise as it was."""
        state = stored.model_copy(update={"checks": dict(checks)})
        if state != stored:
            self._assess(state, stored, (), self.now)
            self._keep(state)

    @property
    def _epoch(self) -> datetime:
        return self.token.epoch or self.now

    def _texts(self, hosted: HostedState, stored: PullRequestState | None) -> None:
        self._titles(hosted, stored)
        description = kept(hosted.description)
        before = stored.description if stored else None
        if stored is None and (hosted.created_at < self._epoch or not description):
            return
        if description != before:
            change = TextChanged(
                field="description", before=before, after=description, pull_request=_ref(hosted)
            )
            at = hosted.updated_at if stored else hosted.created_at
            key = self._derived_key(hosted.number, "description", before or "", description)
            actor = None if stored else hosted.author
            marks = () if stored else _opening(hosted)
            self._event(hosted.number, key, change, at, actor, marks)

    def _titles(self, hosted: HostedState, stored: PullRequestState | None) -> None:
        """Every change of the title, where the host keeps them, else the difference."""
        told = hosted.retitlings or ()
        title = clean(hosted.title, LONGEST_TITLE)
        if stored is not None:
            news = told[max(len(told) - max(hosted.retitled - stored.retitled, 0), 0) :]
        else:
            news = tuple(change for change in told if change.at >= self._epoch)
            if hosted.created_at >= self._epoch:
                first = told[0].before if told and hosted.retitled == len(told) else hosted.title
                marks = _opening(hosted)
                key = self._derived_key(hosted.number, "title", first)
                self._title(hosted, None, first, key, hosted.created_at, hosted.author, marks)
        for change in news:
            key = key_of(f"title:{change.id}", self.item_id)
            self._title(hosted, change.before, change.after, key, change.at, change.actor)
        if stored is not None and not news and stored.title != title:
            key = self._derived_key(hosted.number, "title", stored.title, title)
            self._title(hosted, stored.title, title, key, hosted.updated_at, None)

    def _title(
        self,
        hosted: HostedState,
        before: str | None,
        after: str,
        key: str,
        at: datetime,
        actor: Person | None,
        external_ids: tuple[str, ...] = (),
    ) -> None:
        payload = TextChanged(
            field="title",
            before=None if before is None else clean(before, LONGEST_TITLE),
            after=clean(after, LONGEST_TITLE),
            pull_request=_ref(hosted),
        )
        self._event(hosted.number, key, payload, at, actor, external_ids)

    def _assess(
        self, state: PullRequestState, stored: PullRequestState | None, marks: tuple[str, ...], at: datetime
    ) -> None:
        """A derived fact, told whenever anything that a condition could ask for is different."""
        payload = PullRequestAssessed(
            number=state.number,
            head=state.head,
            source=state.source,
            target=state.target,
            approvals=state.approvals,
            checks=state.checks,
            is_open=state.is_open,
            is_draft=state.is_draft,
            is_merged=state.is_merged,
            is_from_fork=state.is_from_fork,
            title=state.title,
            url=state.url,
        )
        if stored is not None and _facts(state) == _facts(stored):
            return
        key = self._derived_key(state.number, "assessed", repr(_facts(state)))
        self._event(state.number, key, payload, at, None, (*marks, *_ours(state, stored)))

    def _derived_key(self, number: int, *facts: str) -> str:
        return self.token.key(self.item_id, subject_of(number), *facts)

    def _event(
        self,
        number: int,
        key: str,
        payload: Payload,
        at: datetime,
        actor: Person | None,
        external_ids: tuple[str, ...],
    ) -> None:
        self.events.append(
            EventDraft(
                item_id=self.item_id,
                subject=subject_of(number),
                dedup_key=key,
                occurred_at=at,
                actor=actor,
                payload=payload,
                external_ids=external_ids,
            )
        )

    def _keep(self, state: PullRequestState) -> None:
        self._snapshot(subject_of(state.number), state)

    def _snapshot(self, subject: str, state: State) -> None:
        self.snapshots.append(
            Snapshot(item_id=self.item_id, subject=subject, state=state, observed_at=self.now)
        )


def _ref(hosted: HostedState) -> RequestRef:
    return RequestRef(
        number=hosted.number,
        title=clean(hosted.title, LONGEST_TITLE),
        source=hosted.source,
        target=hosted.target,
        url=hosted.url,
    )


def _opening(hosted: HostedState) -> tuple[str, ...]:
    """By what we may have announced that we open it: the mark in its text, or its number, once known."""
    return (*marks_in(hosted.description), opened_id(hosted.number))


def _state_of(hosted: HostedState, checks: Checks) -> PullRequestState:
    last = max(hosted.comments, key=lambda comment: comment.created_at, default=None)
    return PullRequestState(
        number=hosted.number,
        title=clean(hosted.title, LONGEST_TITLE),
        description=kept(hosted.description),
        source=hosted.source,
        target=hosted.target,
        head=hosted.head,
        url=hosted.url,
        updated=hosted.updated,
        is_open=hosted.is_open,
        is_draft=hosted.is_draft,
        is_merged=hosted.is_merged,
        is_from_fork=hosted.is_from_fork,
        approvals=hosted.approvals,
        checks=dict(checks),
        retitled=hosted.retitled,
        last_comment=kept(last.text) if last else None,
        last_comment_by=last.author if last else None,
    )


def _is_older(hosted: HostedState, stored: PullRequestState) -> bool:
    try:
        return hosted.updated_at < datetime.fromisoformat(stored.updated)
    except (ValueError, TypeError):
        return False


def _facts(state: PullRequestState) -> tuple[object, ...]:
    flags = (state.is_open, state.is_draft, state.is_merged)
    return (state.head, state.target, state.approvals, sorted(state.checks.items()), *flags)


def _ours(state: PullRequestState, stored: PullRequestState | None) -> tuple[str, ...]:
    """What of this we may have done ourselves: the push, the merge, the check. An opinion never is ours."""
    if stored is None or state.approvals != stored.approvals:
        return ()
    ours = [state.head] if stored.head != state.head else []
    if state.is_merged and not stored.is_merged:
        ours.append(f"{subject_of(state.number)} merged")
    before = stored.checks if stored.head == state.head else {}
    changed = (name for name, check in sorted(state.checks.items()) if before.get(name) is not check)
    return (*ours, *(f"check:{state.head}:{name}" for name in changed))
