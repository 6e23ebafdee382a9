"""Builds a page of a repository: events in order, the states after them, timers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.git import Assessment
from dct_pipelines.domain.git_refs import HEADS, TAGS
from dct_pipelines.domain.listener import Page, Timer
from dct_pipelines.domain.own_marks import marks_in
from dct_pipelines.domain.payloads import (
    BranchAssessed,
    BranchCreated,
    BranchDeleted,
    CheckReported,
    ForcePushed,
    HeadMoved,
    Payload,
    TagCreated,
)
from dct_pipelines.domain.repository.asks import quiet_level
from dct_pipelines.domain.repository.history import clean
from dct_pipelines.domain.repository.plan import (
    BranchWork,
    Pair,
    Report,
    TagWork,
    quiet_key,
    stored_assessment,
)
from dct_pipelines.domain.repository.token import GitToken
from dct_pipelines.domain.snapshot import BranchState, Snapshot, State, TagState

MAX_CONFLICTS = 100
LONGEST_NAME = 1000
Answers = Mapping[tuple[str, str], Assessment]
"""How heads compare, by (target branch, head)."""


@dataclass
class PageBuilder:
    """Collects what one transaction stores. `token` is the one that the read began this page with."""

    item_id: UUID
    now: datetime
    token: GitToken
    default: str | None
    events: list[EventDraft] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    timers_done: list[tuple[str, str]] = field(default_factory=list)

    def branch_gone(self, state: BranchState, asked: Mapping[str, tuple[int, ...]]) -> None:
        """A branch that is no longer there."""
        subject = HEADS + state.branch
        self._event(subject, BranchDeleted(branch=state.branch, head=state.head), state.head)
        self.removed.append(subject)
        keys = (quiet_key(target, quiet) for target, quiets in asked.items() for quiet in quiets if quiet)
        self.timers_done.extend((subject, key) for key in keys)

    def tag(self, work: TagWork) -> None:
        """A tag that is new, was moved, or is gone, which gives no event."""
        subject = TAGS + work.tag
        if work.commit is None:
            self.removed.append(subject)
            return
        created = TagCreated(tag=work.tag, commit=work.commit, before=work.before)
        self._event(subject, created, work.commit)
        self.known_tag(work.tag, work.commit)

    def known_tag(self, tag: str, commit: str) -> None:
        """A tag as it is."""
        self._snapshot(TAGS + tag, TagState(tag=tag, commit=commit))

    def known_branch(self, branch: str, head: str, reports: Mapping[str, Report]) -> None:
        """A branch as it is, without an event."""
        checks = {name: report.state for name, report in reports.items()}
        is_default = branch == self.default
        state = BranchState(branch=branch, head=head, since=self.now, is_default=is_default, checks=checks)
        self._snapshot(HEADS + branch, state)

    def branch(
        self, work: BranchWork, change: BranchCreated | HeadMoved | ForcePushed | None, answers: Answers
    ) -> None:
        """A branch that moved (`change`), or whose checks or comparisons have to be looked at."""
        state = self._state_before(work)
        ours = (work.head, *_marks_of(change))
        if change is not None:
            self._event(HEADS + work.branch, change, *ours)
        state = self._with_reports(state, work)
        for pair in work.pairs:
            state = self._with_assessment(state, pair, work, answers[pair.target, work.head], ours)
        if state != work.stored:
            self._snapshot(HEADS + work.branch, state)
        self._set_timers(state, work.quiet_asks)

    def page(self, token: GitToken, *, is_last: bool, notes: tuple[str, ...] = ()) -> Page:
        """What was collected."""
        return Page(
            item_id=self.item_id,
            token=token.stored(),
            events=tuple(self.events),
            snapshots=tuple(self.snapshots),
            removed=tuple(self.removed),
            timers=tuple(self.timers),
            timers_done=tuple(self.timers_done),
            is_last=is_last,
            notes=notes,
        )

    def _state_before(self, work: BranchWork) -> BranchState:
        is_default = work.branch == self.default
        if work.stored is None or work.is_moved:
            return BranchState(branch=work.branch, head=work.head, since=self.now, is_default=is_default)
        assessments = {
            target: assessed.model_copy(update={"is_default_target": target == self.default})
            for target, assessed in work.stored.assessments.items()
        }
        return work.stored.model_copy(update={"is_default": is_default, "assessments": assessments})

    def _with_reports(self, state: BranchState, work: BranchWork) -> BranchState:
        for name, report in work.reports.items():
            state = state.model_copy(update={"checks": {**state.checks, name: report.state}})
            payload = CheckReported(
                branch=work.branch,
                head=work.head,
                name=name,
                state=report.state,
                checks=state.checks,
                url=report.url,
            )
            self._event(HEADS + work.branch, payload, f"check:{work.head}:{name}")
        return state

    def _with_assessment(
        self, state: BranchState, pair: Pair, work: BranchWork, answer: Assessment, ours: tuple[str, ...]
    ) -> BranchState:
        assessed = BranchAssessed(
            branch=work.branch,
            head=work.head,
            target=pair.target,
            target_head=answer.target,
            is_default_target=pair.target == self.default,
            ahead=answer.ahead_behind.ahead,
            behind=answer.ahead_behind.behind,
            merges_cleanly=answer.merge.clean,
            conflicts=tuple(clean(name, LONGEST_NAME) for name in answer.merge.conflicts[:MAX_CONFLICTS]),
            checks=state.checks,
            quiet_seconds=max(int((self.now - state.since).total_seconds()), 0),
        )
        before = None if work.is_moved else stored_assessment(work.stored, pair.target)
        if not pair.is_silent and (before is None or _says_more(before, assessed, pair.quiets)):
            self._event(HEADS + work.branch, assessed, *ours)
        return state.model_copy(update={"assessments": {**state.assessments, pair.target: assessed}})

    def _set_timers(self, state: BranchState, asked: Mapping[str, tuple[int, ...]]) -> None:
        for target, quiets in asked.items():
            for quiet in quiets:
                due_at = state.since + timedelta(seconds=quiet)
                if due_at > self.now:
                    key = quiet_key(target, quiet)
                    self.timers.append(Timer(self.item_id, HEADS + state.branch, key, due_at))

    def _event(self, subject: str, payload: Payload, *external_ids: str) -> None:
        discriminator = {"check_reported": "name", "branch_assessed": "target"}.get(payload.kind)
        what = str(getattr(payload, discriminator)) if discriminator else ""
        sides = (str(getattr(payload, side, "")) for side in ("before", "head", "commit", "target_head"))
        self.events.append(
            EventDraft(
                item_id=self.item_id,
                subject=subject,
                dedup_key=self.token.key(self.item_id, payload.kind, subject, what, *sides),
                occurred_at=self.now,
                payload=payload,
                external_ids=external_ids,
            )
        )

    def _snapshot(self, subject: str, state: State) -> None:
        self.snapshots.append(
            Snapshot(item_id=self.item_id, subject=subject, state=state, observed_at=self.now)
        )


def _marks_of(change: BranchCreated | HeadMoved | ForcePushed | None) -> tuple[str, ...]:
    """What we may have announced the new head by."""
    newest = change.commits[0] if change and change.commits else None
    return marks_in(newest.message) if newest and change and newest.oid == change.head else ()


def _says_more(before: BranchAssessed, after: BranchAssessed, quiets: tuple[int, ...]) -> bool:
    """Whether anything that a condition could ask for is different; a target that merely moved is not."""
    facts = [
        (a.ahead > 0, a.merges_cleanly, a.conflicts, a.checks, quiet_level(quiets, a.quiet_seconds))
        for a in (before, after)
    ]
    return facts[0] != facts[1]
