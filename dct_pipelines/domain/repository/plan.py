"""What a read has to look at: the stored states compared with the references as they are now. No git call.

Whatever a page has stored is no longer different, so that a read which stopped in between goes on by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from dct_pipelines.domain.git_refs import HEADS, TAGS, Oid, RefSnapshot
from dct_pipelines.domain.listener import Timer
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.domain.repository.asks import BranchAsks
from dct_pipelines.domain.snapshot import BranchState, State, TagState
from dct_pipelines.domain.words import CheckState

MAX_SILENT_ASSESSMENTS = 500
"""Heads that were there before anybody asked are compared up to this many a read, without an event."""


@dataclass(frozen=True)
class Report:
    """The latest report of one check on one commit."""

    state: CheckState
    url: str | None = None


@dataclass(frozen=True)
class Pair:
    """One comparison to make: the branch with `target`; `is_silent` ones give no event."""

    target: str
    quiets: tuple[int, ...]
    is_silent: bool = False


@dataclass(frozen=True)
class BranchWork:
    """One branch that changed, or whose checks or comparisons have to be looked at."""

    branch: str
    head: Oid
    stored: BranchState | None
    reports: Mapping[str, Report]
    pairs: tuple[Pair, ...]
    quiet_asks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Targets and quiet times in seconds for which timers have to be set."""

    @property
    def is_moved(self) -> bool:
        """Whether the branch is new or has another head."""
        return self.stored is None or self.stored.head != self.head

    @property
    def weight(self) -> int:
        """How many events it can give."""
        return 1 + len(self.reports) + len(self.pairs)


@dataclass(frozen=True)
class TagWork:
    """A tag that is new or was moved; `commit` None: it is gone."""

    tag: str
    commit: Oid | None
    before: str | None = None


@dataclass(frozen=True)
class Compared:
    """Both sides, and what decides which comparisons are made again."""

    refs: RefSnapshot
    states: Mapping[str, State]
    asks: BranchAsks
    reports: Mapping[str, Mapping[str, Any]]
    due: tuple[Timer, ...]
    now: datetime
    epoch: datetime
    asks_changed: bool
    restless: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def stored_branches(self) -> tuple[BranchState, ...]:
        """Every branch as it was stored, by name."""
        branches = (state for state in self.states.values() if isinstance(state, BranchState))
        return tuple(sorted(branches, key=lambda state: state.branch))

    def stored_branch(self, branch: str) -> BranchState | None:
        """One branch as it was stored."""
        state = self.states.get(HEADS + branch)
        return state if isinstance(state, BranchState) else None

    @cached_property
    def moved(self) -> dict[str, Oid]:
        """Branches that are new or have another head."""
        return {
            branch: head
            for branch, head in self.refs.branches.items()
            if (stored := self.stored_branch(branch)) is None or stored.head != head
        }

    def gone(self) -> list[BranchState]:
        """Branches that are no longer there; one whose reference is torn still is."""
        return [
            state
            for state in self.stored_branches
            if state.branch not in self.refs.branches and HEADS + state.branch not in self._torn
        ]

    @cached_property
    def _torn(self) -> frozenset[str]:
        """Full names of references that are listed and cannot be used."""
        return frozenset(ref.name for ref in self.refs.rejected)

    def tags(self) -> Iterator[TagWork]:
        """Tags that are new or stand for another commit, then those that are gone, each by name."""
        for tag, commit in sorted(self.refs.tags.items()):
            stored = self.states.get(TAGS + tag)
            known = stored.commit if isinstance(stored, TagState) else None
            if known != commit:
                yield TagWork(tag, commit, known)
        stored_tags = sorted(state.tag for state in self.states.values() if isinstance(state, TagState))
        for tag in stored_tags:
            if tag not in self.refs.tags and TAGS + tag not in self._torn:
                yield TagWork(tag, None)

    def work(self) -> Iterator[BranchWork]:
        """Branches that moved, by name, then the others that need a look, by name."""
        moved = self.moved
        for branch in sorted(moved):
            asked = self.asks.of(branch)
            yield BranchWork(
                branch,
                moved[branch],
                self.stored_branch(branch),
                self._reports_of_new_head(moved[branch]),
                tuple(Pair(target, quiets) for target, quiets in asked.items()),
                asked,
            )
        yield from self._of_unmoved(moved)

    def _of_unmoved(self, moved: Mapping[str, Oid]) -> Iterator[BranchWork]:
        silent_left = MAX_SILENT_ASSESSMENTS
        due = {(timer.subject, timer.key) for timer in self.due}
        for state in self.stored_branches:
            if state.branch in moved or state.branch not in self.refs.branches:
                continue
            reports = self._news(state)
            pairs = tuple(self._pairs(state, bool(reports), due))
            silent = [pair for pair in pairs if pair.is_silent]
            if len(silent) > silent_left:
                pairs = tuple(pair for pair in pairs if not pair.is_silent)
            else:
                silent_left -= len(silent)
            newly_asked = self._newly_asked(state)
            if reports or pairs or newly_asked or self._is_misflagged(state):
                yield BranchWork(state.branch, Oid(state.head), state, reports, pairs, newly_asked)

    def _newly_asked(self, state: BranchState) -> Mapping[str, tuple[int, ...]]:
        """Quiet times that may be new and end later; a head of the first read has no known beginning."""
        if state.since <= self.epoch or not (self.asks_changed or self.restless):
            return {}
        asked = self.asks.of(state.branch)
        if not self.asks_changed:
            asked = {target: quiets for target, quiets in asked.items() if target in self.restless}
        longest = max((quiet for quiets in asked.values() for quiet in quiets), default=0)
        return asked if state.since + timedelta(seconds=longest) > self.now else {}

    def _pairs(self, state: BranchState, has_news: bool, due: set[tuple[str, str]]) -> Iterator[Pair]:
        for target, quiets in self.asks.of(state.branch).items():
            stored = stored_assessment(state, target)
            rings = any((HEADS + state.branch, quiet_key(target, quiet)) in due for quiet in quiets)
            if stored is None:
                is_new_here = target in self.restless and state.since > self.epoch and not self.asks_changed
                if self.asks_changed or target in self.restless or has_news or rings:
                    yield Pair(target, quiets, is_silent=not (is_new_here or has_news or rings))
            elif has_news or rings or self._may_differ(stored, target):
                yield Pair(target, quiets)

    def _may_differ(self, stored: BranchAssessed, target: str) -> bool:
        """A target that moved forward can solve a conflict; it cannot make a contained branch ahead."""
        if stored.target_head == self.refs.branches[target]:
            return False
        return not stored.merges_cleanly or target in self.restless

    def _reports_of_new_head(self, head: Oid) -> dict[str, Report]:
        """Every check known for a commit: reported now, or while it was another branch's head."""
        return self._known_by_head.get(head, {}) | self._reported(head)

    def _news(self, state: BranchState) -> dict[str, Report]:
        return {
            name: report
            for name, report in self._reported(state.head).items()
            if state.checks.get(name) is not report.state
        }

    def _reported(self, commit: str) -> dict[str, Report]:
        return reports_of(self.reports.get(commit, {}))

    @cached_property
    def _known_by_head(self) -> dict[str, dict[str, Report]]:
        return {
            state.head: {name: Report(check) for name, check in sorted(state.checks.items())}
            for state in self.stored_branches
            if state.checks
        }

    def _is_misflagged(self, state: BranchState) -> bool:
        """Whether the default branch has changed since the state was stored."""
        default = self.asks.default
        return state.is_default != (state.branch == default) or any(
            assessed.is_default_target != (assessed.target == default)
            for assessed in state.assessments.values()
        )


def reports_of(checks: Mapping[str, Any]) -> dict[str, Report]:
    """The reports on one commit, by the name of the check."""
    return {
        name: Report(CheckState(report["state"]), report.get("url"))
        for name, report in sorted(checks.items())
    }


def stored_assessment(state: BranchState | None, target: str) -> BranchAssessed | None:
    """The last comparison of the state's own head with that target."""
    assessed = state.assessments.get(target) if state else None
    return assessed if state and assessed and assessed.head == state.head else None


def quiet_key(target: str, quiet_seconds: int) -> str:
    """The key of the timer that rings when a head has been quiet for so long."""
    return f"quiet {quiet_seconds} {target}"
