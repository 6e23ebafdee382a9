"""Random histories of a `HostedWorld` and what a poller must make of each: by the table of docs/reference.

What is expected is computed from what was done to the world, never by a parser. Between two looks the world
stands still, so that what a look must give is exact; `disturb` lets it change while pages are read.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import ListenerType, WatchedItem
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.snapshot import CommentState, PullRequestState
from dct_pipelines.domain.words import ItemKind
from tests.fakes.hosted_world import HostedWorld, WorldRequest
from tests.fakes.rest_http import FAULTS, Asked
from tests.properties.driver import Deaths, Driver
from tests.properties.hosted_deeds import Deeds
from tests.properties.hosted_truth import (
    Look,
    Rules,
    check_story,
    facts_of,
    facts_stored,
    facts_told,
    stories_of,
    told_of,
)
from tests.support.hosted import Hosted

ITEM = UUID(int=21)
CONNECTION = UUID(int=20)
DERIVED = "pull_request_assessed"
TOLD = frozenset({"comment_added", "comment_edited", "comment_deleted", "text_changed"})


@dataclass
class Play:
    """One history. `since` is what was to be seen at the last look."""

    hosted: Hosted[Any, Any]
    listener: ListenerType[Any]
    rules: Rules
    chance: random.Random
    faults: float = 0.0
    failures_left: int = 0
    since: dict[int, Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        item = WatchedItem(ITEM, "shop", ItemKind.GIT_REPOSITORY, self.hosted.location(), {}, {})
        self.driver = Driver(
            self.listener,
            CONNECTION,
            {},
            [item],
            port=self._port,
            clock=self.hosted.clock,
            pages_per_tick=self.chance.choice((2, 5, 1000)),
        )
        self.deeds = Deeds(self.hosted, self.rules, self.chance)
        self.hosted.http.fault = self._fault

    @property
    def world(self) -> HostedWorld:
        return self.hosted.world

    def _port(self, item: WatchedItem | None) -> HostedRepository:
        assert item is not None
        git = RepositoryReader(self.world.git, self.world.repository_ref)
        return HostedRepository(git, self.hosted.client.reader(item.location))

    def _fault(self, _asked: Asked) -> str | None:
        if self.failures_left and self.chance.random() < self.faults:
            self.failures_left -= 1
            return self.chance.choice(FAULTS)
        return None

    def begin(self) -> None:
        """What was there before anybody looked, and the first look at it."""
        for number in range(self.chance.randrange(7)):
            request = self.world.open(f"feature/{number}", body=self.chance.choice(("", "why")))
            for _ in range(self.chance.randrange(3)):
                self.world.comment(request, f"old {self.world.next_id()}")
            if self.chance.random() < 0.3:
                self.world.close(request)
        self.hosted.clock.advance(seconds=200)
        self.driver.settle()
        assert not self.driver.intake.events
        self.since = {
            number: self._seen(request, is_known=self.world.is_open(request))
            for number, request in self.world.requests.items()
        }

    def poll(self) -> None:
        """Polls that fail and die, then enough of them for everything, the sweep included."""
        self.failures_left, self.faults = self.chance.randrange(8), 0.3
        self.driver.deaths = Deaths(self.chance, self.chance.choice((0, 0.2, 0.5)))
        for _ in range(self.chance.randrange(5)):
            self.driver.tick()
            self.hosted.clock.advance(seconds=30)
        self.driver.settle(after=lambda: self.hosted.clock.advance(seconds=5))
        for minutes in (16, 1, 1, 1):
            self.hosted.clock.advance(seconds=60 * minutes)
            self.driver.settle(after=lambda: self.hosted.clock.advance(seconds=5))

    def look(self) -> None:
        """Poll, and compare with what has to be seen."""
        known = len(self.driver.intake.events)
        self.poll()
        events = self.driver.intake.events[known:]
        told = Counter(told_of(event) for event in events if event.payload.kind in TOLD)
        expected = Counter(self._expected())
        assert (told - expected, expected - told) == (Counter(), Counter())
        assert not self.driver.intake.dead_letters
        self._assessed([event for event in events if event.payload.kind == DERIVED])
        self._next()

    def _next(self) -> None:
        self.since = {
            number: self._seen(
                request,
                is_known=self._read(number) or self.world.is_open(request),
            )
            for number, request in self.world.requests.items()
        }
        self.deeds.forget()

    def _read(self, number: int) -> bool:
        known = self.since.get(number)
        return number in self.deeds.touched or (known is not None and known.is_known)

    def _seen(self, request: WorldRequest, *, is_known: bool) -> Look:
        return Look(
            self._texts(request),
            self.rules.title(request),
            request.body,
            facts_of(self.world, self.rules, request),
            is_known,
        )

    def _texts(self, request: WorldRequest) -> dict[str, str]:
        return {self.rules.comment_id(one): one.text for one in request.comments if not one.system}

    def _expected(self) -> list[tuple[object, ...]]:
        expected: list[tuple[object, ...]] = []
        for number, request in self.world.requests.items():
            before = self.since.get(number)
            is_read = number in self.deeds.touched or self.world.is_open(request)
            if before is None:
                expected += self._of_new(number, request)
            elif before.is_known:
                expected += self._of_known(number, request, before)
            elif is_read:
                expected += self._of_unread(number, request, before)
        return expected

    def _of_new(self, number: int, request: WorldRequest) -> list[tuple[object, ...]]:
        titles = self.deeds.titles[number] if self.rules.keeps_titles else []
        first = titles[0][0] if titles else self.rules.title(request)
        found: list[tuple[object, ...]] = [("text_changed", number, "title", None, first)]
        found += [("text_changed", number, "title", *change) for change in titles]
        if request.body:
            found.append(("text_changed", number, "description", None, request.body))
        return found + [("comment_added", number, *one) for one in self._texts(request).items()]

    def _of_known(self, number: int, request: WorldRequest, before: Look) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        if self.rules.keeps_titles:
            found += [
                ("text_changed", number, "title", *change) for change in self.deeds.titles.get(number, [])
            ]
        elif before.title != self.rules.title(request):
            found.append(("text_changed", number, "title", before.title, self.rules.title(request)))
        if before.description != request.body:
            found.append(("text_changed", number, "description", before.description, request.body))
        now = self._texts(request)
        for comment, text in now.items():
            if comment not in before.texts:
                found.append(("comment_added", number, comment, text))
            elif before.texts[comment] != text:
                found.append(("comment_edited", number, comment, before.texts[comment], text))
        gone = before.texts.keys() - now.keys()
        return found + [("comment_deleted", number, comment, before.texts[comment]) for comment in gone]

    def _of_unread(self, number: int, request: WorldRequest, before: Look) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        if self.rules.keeps_titles:
            found += [
                ("text_changed", number, "title", *change) for change in self.deeds.titles.get(number, [])
            ]
        for comment, text in self._texts(request).items():
            if comment not in before.texts:
                found.append(("comment_added", number, comment, text))
            elif comment in self.deeds.edited:
                found.append(("comment_edited", number, comment, None, text))
        return found

    def _assessed(self, events: list[EventDraft]) -> None:
        """The last one of each pull request is the truth; nothing is told that is as it was."""
        for number, request in self.world.requests.items():
            told = [facts_told(event) for event in events if event.subject == f"pull/{number}"]
            before, now = self.since.get(number), facts_of(self.world, self.rules, request)
            assert all(one != other for one, other in pairwise(told))
            if before is None:
                assert told[-1:] == [now]
            elif before.is_known:
                assert told[-1:] == ([now] if before.facts != now else [])
            elif self.world.is_open(request):
                assert told[-1:] == [now]

    # ---------------------------------------------------------------- changes while it is read

    def disturb(self, chance: float) -> None:
        """From now on somebody does something before one in so many answers."""

        def before(_asked: Asked) -> None:
            if self.chance.random() < chance:
                self.deeds.act()

        self.hosted.http.before = before

    def rest(self) -> None:
        """Nobody does anything any more."""
        self.hosted.http.before = lambda _asked: None

    def agree(self) -> None:
        """What is stored in the end is the truth, and each comment's events lead there without a gap."""
        states = self.driver.states(self.driver.items[0])
        stories = stories_of(self.driver.intake.events)
        for number, request in self.world.requests.items():
            if not self._read(number):
                continue
            state = states[f"pull/{number}"]
            assert isinstance(state, PullRequestState)
            assert (state.title, state.description) == (self.rules.title(request), request.body)
            assert facts_stored(state) == facts_of(self.world, self.rules, request)
            prefix = f"pull/{number}/comments/"
            kept = {
                one.comment_id: one.text
                for subject, one in states.items()
                if subject.startswith(prefix) and isinstance(one, CommentState)
            }
            assert kept == self._texts(request)
        for story in stories.values():
            check_story(story)
        old = {comment for look in self.since.values() for comment in look.texts}
        for request in self.world.requests.values():
            for comment, text in self._texts(request).items():
                story = stories.get(comment, [])
                assert comment in old or story[0][0] == "comment_added"
                assert not story or story[-1][-1] == text
