"""Random histories of a `HostedWorld` and what a poller must make of each: by the table of docs/reference.

What is expected is computed from what was done to the world, never by a parser. Between two looks the world
stands still, so that what a look must give is exact; `disturb` lets it change while pages are read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import ListenerType, WatchedItem
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.snapshot import CommentState, PullRequestState
from dct_pipelines.domain.words import CheckState, ItemKind
from tests.fakes.hosted_world import HostedWorld, WorldRequest, Written
from tests.fakes.rest_http import FAULTS, Asked
from tests.properties.driver import Deaths, Driver
from tests.support.hosted import Hosted

ITEM = UUID(int=21)
CONNECTION = UUID(int=20)
STATES = {
    "success": CheckState.SUCCESS,
    "failed": CheckState.FAILURE,
    "failure": CheckState.FAILURE,
    "pending": CheckState.PENDING,
}
PEOPLE = ("ada", "ben", "cleo")
DERIVED = "pull_request_assessed"
TOLD = frozenset({"comment_added", "comment_edited", "comment_deleted", "text_changed"})
Facts = tuple[Any, ...]


@dataclass(frozen=True)
class Rules:
    """In what hosts differ. `comment_id` names a comment; `title` is the title as it is read."""

    comment_id: Callable[[Written], str]
    title: Callable[[WorldRequest], str]
    failure: str
    keeps_titles: bool
    approval_is_single: bool
    on_retitled: Callable[[HostedWorld, WorldRequest, str], None] = lambda _world, _request, _before: None
    on_review: Callable[[HostedWorld, WorldRequest, str], None] = lambda _world, _request, _user: None


@dataclass
class Look:
    """What was to be seen of a pull request at one time, and what happened since."""

    texts: dict[str, str]
    title: str
    description: str
    facts: Facts
    is_known: bool
    """Whether it was ever read."""


@dataclass
class Play:
    """One history. `since` is what was to be seen at the last look."""

    hosted: Hosted[Any, Any]
    listener: ListenerType[Any]
    rules: Rules
    chance: random.Random
    faults: float = 0.0
    since: dict[int, Look] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    edited: set[str] = field(default_factory=set)
    titles: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    failures_left: int = 0

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

    # ---------------------------------------------------------------- what people do

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

    def act(self) -> None:
        """Somebody does something, maybe within the same moment as the last time."""
        self.hosted.clock.advance(seconds=self.chance.choice((0, 0, 0.3, 1, 7, 40)))
        there = list(self.world.requests.values())
        if not there or self.chance.random() < 0.12:
            name = f"feature/{self.world.next_id()}"
            request = self.world.open(name, body=self.chance.choice(("", "why")))
            self.titles[request.number] = []
            self.touched.add(request.number)
            return
        request = self.chance.choice(there)
        deed = self.chance.choice(self._deeds(request))
        deed(request)

    def _deeds(self, request: WorldRequest) -> list[Callable[[WorldRequest], None]]:
        deeds: list[Callable[[WorldRequest], None]] = [
            self._comment,
            self._comment,
            self._comment,
            self._retitle,
            self._describe,
        ]
        if [one for one in request.comments if not one.system]:
            deeds += [self._edit, self._edit]
        if not self.world.is_merged(request):
            deeds += [self._close_or_reopen]
        if self.world.is_open(request):
            deeds += [self._push, self._review, self._review, self._report, self._report, self._draft]
            deeds += [self._delete, self._dismiss]
            if not request.is_draft:
                deeds += [self._merge]
        return deeds

    def _comment(self, request: WorldRequest) -> None:
        self.world.comment(request, f"text {self.world.next_id()}", self.chance.choice(PEOPLE))
        self.touched.add(request.number)

    def _edit(self, request: WorldRequest) -> None:
        written = self.chance.choice([one for one in request.comments if not one.system])
        self.hosted.clock.advance(seconds=1)
        text = self.chance.choice(("A", "B", f"anew {self.world.next_id()}"))
        self.world.edit(request, written, text)
        self.edited.add(self.rules.comment_id(written))
        self.touched.add(request.number)

    def _delete(self, request: WorldRequest) -> None:
        if there := [one for one in request.comments if not one.system]:
            self.world.delete(request, self.chance.choice(there))

    def _retitle(self, request: WorldRequest) -> None:
        before = self.rules.title(request)
        bare = self.world.retitle(request, self.chance.choice(("A", "B", f"title {self.world.next_id()}")))
        if bare != request.title:
            self.rules.on_retitled(self.world, request, bare)
            self.titles.setdefault(request.number, []).append((before, self.rules.title(request)))
        self.touched.add(request.number)

    def _describe(self, request: WorldRequest) -> None:
        request.body = self.chance.choice(("", "A", "B"))
        self.world.touch(request)
        self.touched.add(request.number)

    def _close_or_reopen(self, request: WorldRequest) -> None:
        self.world.close(request, is_closed=not request.is_closed)
        self.touched.add(request.number)

    def _push(self, request: WorldRequest) -> None:
        self.hosted.clock.advance(seconds=1)
        self.world.push(request, f"{self.world.next_id()}\n")
        self.hosted.clock.advance(seconds=1)
        self.touched.add(request.number)

    def _review(self, request: WorldRequest) -> None:
        user = self.chance.choice(PEOPLE)
        state = self.chance.choice(("approved", "changes_requested"))
        standing = [one for one in request.opinions if one.user == user and not one.is_dismissed]
        if self.rules.approval_is_single and standing:
            return
        self.hosted.clock.advance(seconds=1)
        self.world.review(request, user, state)
        if state == "approved":
            self.rules.on_review(self.world, request, user)
        self.touched.add(request.number)

    def _dismiss(self, request: WorldRequest) -> None:
        if request.opinions:
            self.chance.choice(request.opinions).is_dismissed = True
            self.world.touch(request)
            self.touched.add(request.number)

    def _report(self, request: WorldRequest) -> None:
        state = self.chance.choice(("pending", "success", self.rules.failure))
        self.world.report(self.world.head(request), self.chance.choice(("unit", "lint")), state)

    def _draft(self, request: WorldRequest) -> None:
        before = self.rules.title(request)
        self.world.draft(request, not request.is_draft)
        if before != self.rules.title(request):
            self.titles.setdefault(request.number, []).append((before, self.rules.title(request)))
        self.touched.add(request.number)

    def _merge(self, request: WorldRequest) -> None:
        head = self.world.head(request)
        merged = self.world.code.merge_request(
            "acme/shop", request.number, head=head, method="merge", message="m"
        )
        if merged.state == "merged":
            self.world.touch(request)
            self.touched.add(request.number)

    # ---------------------------------------------------------------- what the poller does

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
        told = Counter(_told(event) for event in events if event.payload.kind in TOLD)
        expected = Counter(self._expected())
        assert (told - expected, expected - told) == (Counter(), Counter())
        assert not self.driver.intake.dead_letters
        self._assessed([event for event in events if event.payload.kind == DERIVED])
        self._next()

    def _next(self) -> None:
        self.since = {
            number: self._seen(
                request, is_known=number in self.touched or self._known(number) or self.world.is_open(request)
            )
            for number, request in self.world.requests.items()
        }
        self.touched, self.edited, self.titles = set(), set(), {}

    def _known(self, number: int) -> bool:
        return number in self.since and self.since[number].is_known

    def _seen(self, request: WorldRequest, *, is_known: bool) -> Look:
        return Look(
            self._texts(request),
            self.rules.title(request),
            request.body,
            self.facts(request),
            is_known,
        )

    def _texts(self, request: WorldRequest) -> dict[str, str]:
        return {self.rules.comment_id(one): one.text for one in request.comments if not one.system}

    def _expected(self) -> list[tuple[object, ...]]:
        expected: list[tuple[object, ...]] = []
        for number, request in self.world.requests.items():
            before = self.since.get(number)
            is_read = number in self.touched or self.world.is_open(request)
            if before is None:
                expected += self._of_new(number, request)
            elif before.is_known:
                expected += self._of_known(number, request, before)
            elif is_read:
                expected += self._of_unread(number, request, before)
        return expected

    def _of_new(self, number: int, request: WorldRequest) -> list[tuple[object, ...]]:
        titles = self.titles[number] if self.rules.keeps_titles else []
        first = titles[0][0] if titles else self.rules.title(request)
        found: list[tuple[object, ...]] = [("text_changed", number, "title", None, first)]
        found += [("text_changed", number, "title", *change) for change in titles]
        if request.body:
            found.append(("text_changed", number, "description", None, request.body))
        return found + [("comment_added", number, *one) for one in self._texts(request).items()]

    def _of_known(self, number: int, request: WorldRequest, before: Look) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        if self.rules.keeps_titles:
            found += [("text_changed", number, "title", *change) for change in self.titles.get(number, [])]
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
            found += [("text_changed", number, "title", *change) for change in self.titles.get(number, [])]
        for comment, text in self._texts(request).items():
            if comment not in before.texts:
                found.append(("comment_added", number, comment, text))
            elif comment in self.edited:
                found.append(("comment_edited", number, comment, None, text))
        return found

    def facts(self, request: WorldRequest) -> Facts:
        """What the derived event says of a pull request."""
        checks = {one.name: STATES[one.state] for one in self.world.latest(self.world.head(request))}
        is_merged = self.world.is_merged(request)
        opinions = {}
        for one in request.opinions:
            state = "dismissed" if one.is_dismissed else one.state
            if self.rules.approval_is_single:
                if one.is_dismissed:
                    continue
                head = self.world.head(request) if state == "changes_requested" else one.head
            else:
                head = one.head
            opinions[one.user] = (one.user, head, state)
        flags = (self.world.is_open(request), request.is_draft, is_merged)
        return (self.world.head(request), frozenset(opinions.values()), frozenset(checks.items()), *flags)

    def _assessed(self, events: list[EventDraft]) -> None:
        """The last one of each pull request is the truth; nothing is told that is as it was."""
        for number, request in self.world.requests.items():
            told = [_facts(event) for event in events if event.subject == f"pull/{number}"]
            before, now = self.since.get(number), self.facts(request)
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
                self.act()

        self.hosted.http.before = before

    def rest(self) -> None:
        """Nobody does anything any more."""
        self.hosted.http.before = lambda _asked: None

    def agree(self) -> None:
        """What is stored in the end is the truth, and each comment's events lead there without a gap."""
        states = self.driver.states(self.driver.items[0])
        stories = _stories(self.driver.intake.events)
        for number, request in self.world.requests.items():
            if not (number in self.touched or self._known(number)):
                continue
            state = states[f"pull/{number}"]
            assert isinstance(state, PullRequestState)
            assert (state.title, state.description) == (self.rules.title(request), request.body)
            assert _state_facts(state) == self.facts(request)
            prefix = f"pull/{number}/comments/"
            kept = {
                one.comment_id: one.text
                for subject, one in states.items()
                if subject.startswith(prefix) and isinstance(one, CommentState)
            }
            assert kept == self._texts(request)
        for story in stories.values():
            _check(story)
        old = {comment for look in self.since.values() for comment in look.texts}
        for request in self.world.requests.values():
            for comment, text in self._texts(request).items():
                story = stories.get(comment, [])
                assert comment in old or story[0][0] == "comment_added"
                assert not story or story[-1][-1] == text


def _told(event: EventDraft) -> tuple[object, ...]:
    """An event in the words of `Play._expected`."""
    payload: Any = event.payload
    number = int(event.subject.removeprefix("pull/"))
    match payload.kind:
        case "comment_added":
            return (payload.kind, number, payload.comment_id, payload.text)
        case "comment_edited":
            return (payload.kind, number, payload.comment_id, payload.before, payload.after)
        case "comment_deleted":
            return (payload.kind, number, payload.comment_id, payload.before)
        case _:
            return (payload.kind, number, payload.field, payload.before, payload.after)


def _facts(event: EventDraft) -> Facts:
    payload: Any = event.payload
    return _as_facts(payload.head, payload.approvals, payload.checks, payload)


def _state_facts(state: PullRequestState) -> Facts:
    return _as_facts(state.head, state.approvals, state.checks, state)


def _as_facts(
    head: str, approvals: tuple[Approval, ...], checks: Mapping[str, CheckState], flags: Any
) -> Facts:
    opinions = frozenset((one.user.id, one.head, one.state) for one in approvals)
    return (head, opinions, frozenset(checks.items()), flags.is_open, flags.is_draft, flags.is_merged)


def _stories(events: list[EventDraft]) -> dict[str, list[tuple[Any, ...]]]:
    """What was told of each comment, in order: kind, text before, text after."""
    stories: dict[str, list[tuple[Any, ...]]] = {}
    for event in events:
        payload: Any = event.payload
        if payload.kind in ("comment_added", "comment_edited", "comment_deleted"):
            before = getattr(payload, "before", None)
            after = {"comment_added": "text", "comment_edited": "after"}.get(payload.kind)
            text = getattr(payload, after) if after else None
            stories.setdefault(payload.comment_id, []).append((payload.kind, before, text))
    return stories


def _check(story: list[tuple[Any, ...]]) -> None:
    """Added once and first, deleted once and last, and each edit begins where the one before ended."""
    kinds = [kind for kind, _, _ in story]
    assert "comment_added" not in kinds[1:]
    assert "comment_deleted" not in kinds[:-1]
    for (_, _, after), (_, before, _) in pairwise(story):
        assert before == after
