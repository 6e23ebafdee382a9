"""The git listener's desk: a fake repository, what intake stored of it, and ticks that may be cut short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.listener import Page, ReadContext, Timer, WatchedItem
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.domain.repository.listen import read
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.snapshot import BranchState
from dct_pipelines.domain.trigger_index import digest_of_asks
from dct_pipelines.domain.words import CheckState, ItemKind
from tests.fakes.git import FakeGit, FakeRepository
from tests.fakes.ports import FakeClock
from tests.fakes.snapshots import FakeSnapshots
from tests.support.facts import ITEM

URL = "/srv/shop.git"
TO_MAIN = AssessmentAsk("feature/*", None)


@dataclass
class GitDesk:
    """Stores pages as intake does: all of a page or nothing of it."""

    asks: tuple[AssessmentAsk, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    page_size: int = 200
    git: FakeGit = field(default_factory=FakeGit)
    reader: RepositoryReader | None = None
    """Another repository than the fake one."""
    clock: FakeClock = field(default_factory=FakeClock)
    snapshots: FakeSnapshots = field(default_factory=FakeSnapshots)
    token: Mapping[str, Any] = field(default_factory=dict)
    timers: dict[tuple[str, str], Timer] = field(default_factory=dict)
    checks: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    events: list[EventDraft] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def repository(self) -> FakeRepository:
        """The repository, for its users."""
        return self.git.repository(URL)

    def report(self, commit: str, name: str, state: CheckState) -> None:
        """A CI reports a check."""
        self.checks.setdefault(commit, {})[name] = {"state": state, "url": None}

    def pages(self) -> list[Page]:
        """Read without storing anything: what a process that dies now has done."""
        return list(self._read())

    def tick(self, seconds: float = 10, *, stored_pages: int | None = None) -> list[EventDraft]:
        """Time passes, then a read; only the first `stored_pages` pages get stored. The new events."""
        self.clock.advance(seconds=seconds)
        known = len(self.events)
        for place, page in enumerate(self._read()):
            if stored_pages is not None and place >= stored_pages:
                break
            self._store(page)
        return self.events[known:]

    def state(self, branch: str) -> BranchState:
        """What is stored of a branch."""
        state = self.snapshots.states(ITEM)[f"refs/heads/{branch}"]
        assert isinstance(state, BranchState)
        return state

    def _read(self) -> Any:
        asks = tuple(sorted(self.asks, key=repr))
        item = WatchedItem(
            ITEM, "shop", ItemKind.GIT_REPOSITORY, URL, self.config, self.token, asks, digest_of_asks(asks)
        )
        now = self.clock.now()
        due = tuple(timer for timer in self.timers.values() if timer.due_at <= now)
        context = ReadContext(now, self.snapshots, due, self.checks)
        reader = self.reader or RepositoryReader(self.git, RepositoryRef(URL))
        return read(item, context, reader, page_size=self.page_size)

    def _store(self, page: Page) -> None:
        keys = {event.dedup_key for event in self.events}
        new = [event.dedup_key for event in page.events]
        assert len({*keys, *new}) == len(keys) + len(new), "two different events have the same key"
        self.events.extend(page.events)
        self.snapshots.store(page.snapshots)
        self.snapshots.remove(ITEM, page.removed)
        for key in page.timers_done:
            self.timers.pop(key, None)
        self.timers.update({(timer.subject, timer.key): timer for timer in page.timers})
        self.token = page.token or {}
        self.notes = page.notes


def begun() -> GitDesk:
    """A repository with a commit on `main`, read once; how features stand towards it is asked."""
    desk = GitDesk(asks=(TO_MAIN,))
    desk.repository.commit("main", {"a.txt": "1"}, "Begin")
    desk.tick()
    desk.tick()
    return desk


def assessments(events: list[EventDraft]) -> list[BranchAssessed]:
    """The comparisons among the events."""
    return [event.payload for event in events if isinstance(event.payload, BranchAssessed)]


def kinds(events: list[EventDraft]) -> list[tuple[str, str]]:
    """Kind and subject of each event."""
    return [(event.payload.kind, event.subject.removeprefix("refs/")) for event in events]
