"""Of which commits the checks are asked for at every read.

A check that ends counts at no host as an update of the pull request, and is no change of a branch. So heads
that are young, or have a check that has not ended, are asked for again and again, all in one call; the others
only by the sweep. The number is bounded, the newest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dct_pipelines.domain.hosting.reader import HostedCheck
from dct_pipelines.domain.hosting.token import WatchedHead
from dct_pipelines.domain.words import CheckState

MOST_HEADS = 100
YOUNG = timedelta(hours=3)
"""A head is asked for so long although nothing is pending: its checks may not have begun."""
LONGEST_PENDING = timedelta(days=3)
"""A check that is pending for longer has been forgotten by whoever runs it."""


@dataclass(frozen=True)
class Heads:
    """The commits that are watched, by commit."""

    by_commit: Mapping[str, WatchedHead]

    @staticmethod
    def of(watched: Iterable[WatchedHead]) -> Heads:
        """From a token."""
        return Heads({head.commit: head for head in watched})

    @property
    def commits(self) -> tuple[str, ...]:
        """What to ask for."""
        return tuple(self.by_commit)

    def with_branches(self, new: Iterable[str], there: Collection[str] | None, now: datetime) -> Heads:
        """`new` heads of branches are watched from now on; `there` are all heads (None: as they were)."""
        kept = {
            commit: head
            if there is None or commit in there or not head.is_branch
            else head.model_copy(update={"is_branch": False})
            for commit, head in self.by_commit.items()
        }
        for commit in new:
            head = kept.get(commit) or WatchedHead(commit=commit, since=now)
            kept[commit] = head.model_copy(update={"is_branch": True, "since": now})
        return Heads(kept)._trimmed()

    def with_request(self, number: int, head: str | None, now: datetime, *, is_news: bool) -> Heads:
        """The pull request has this head now (None: it is over), to be watched anew if that `is_news`."""
        kept = {
            commit: watched.model_copy(update={"numbers": tuple(n for n in watched.numbers if n != number)})
            for commit, watched in self.by_commit.items()
        }
        if head is not None and (is_news or head in kept):
            known = kept.get(head) or WatchedHead(commit=head, since=now)
            kept[head] = known.model_copy(update={"numbers": (*known.numbers, number)})
        return Heads(kept)._trimmed()

    def settled(self, answers: Mapping[str, Mapping[str, HostedCheck]], now: datetime) -> Heads:
        """After a read: those that need not be asked for again are dropped."""
        kept: dict[str, WatchedHead] = {}
        for commit, head in self.by_commit.items():
            if commit in answers:
                states = [check.state for check in answers[commit].values()]
                kept[commit] = head.model_copy(update={"is_finished": CheckState.PENDING not in states})
            else:
                kept[commit] = head
        alive = {
            commit: head
            for commit, head in kept.items()
            if now - head.since < (YOUNG if head.is_finished else LONGEST_PENDING)
        }
        return Heads(alive)

    def stored(self) -> tuple[WatchedHead, ...]:
        """For a token."""
        return tuple(self.by_commit.values())

    def _trimmed(self) -> Heads:
        alive = [head for head in self.by_commit.values() if head.is_branch or head.numbers]
        if len(alive) > MOST_HEADS:
            alive = sorted(alive, key=lambda head: head.since, reverse=True)[:MOST_HEADS]
        return Heads.of(alive)
