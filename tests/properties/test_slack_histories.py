"""Slack loses nothing: random histories of a workspace of our own, read by the real client and listener.

What is expected is computed from what was done in the workspace by the table of docs/reference/listeners.md,
never from what the listener made of it. Polls are killed at random and meet 5xx, 429, resets, half answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.listeners.slack import LISTENER
from tests.fakes.ports import FakeClock
from tests.fakes.slack_http import SlackHttp, slack_http
from tests.fakes.slack_server import SlackWorkspace
from tests.properties.driver import Deaths, Driver, histories
from tests.support import slack

FAULTS = ("500", "503", "429", "reset", "half", "html", "internal_error", "ratelimited")
Told = tuple[str, str, str]
"""What an event says: its kind, its message, and for an edit when."""


@pytest.fixture(scope="module")
def server() -> Iterator[SlackHttp]:
    with slack_http(SlackWorkspace(FakeClock())) as served:
        yield served


@dataclass
class Expected:
    """What polls must tell of a channel, by the table: kept from what the workspace says, phase by phase."""

    space: SlackWorkspace
    read: dict[str, str | None] = field(default_factory=dict)
    """Messages that a poll has read, with the edit that it has seen."""
    told: list[Told] = field(default_factory=list)

    def begin(self) -> None:
        """The first read: what history shows is known, answers are not."""
        for said in self.space.messages.values():
            if self._is_shown(said.ts):
                self.read[said.ts] = said.edited

    def polled(self) -> None:
        """A poll with a sweep, after which nothing was done."""
        roots = [said for said in self.space.messages.values() if not said.is_reply]
        for said in roots:
            self._look(said.ts, is_new=True)
        for said in self.space.messages.values():
            if said.is_reply and self._is_shown(said.ts):
                self._look(said.ts, is_new=True)
        for said in roots:
            if not said.is_deleted and said.subtype != "channel_join":
                self._look_at_answers(said.ts)

    def _look_at_answers(self, root: str) -> None:
        """New ones are read; when the number does not come out, the whole thread is."""
        answers = [said for said in self.space.messages.values() if said.is_reply and said.root == root]
        first = self.answers_before.get(root, frozenset())
        gone = [said for said in answers if said.is_deleted and said.ts in self.counted]
        for said in answers:
            if said.ts not in self.counted and not said.is_deleted:
                self._look(said.ts, is_new=True)
        if gone:
            for said in answers:
                self._look(said.ts, is_new=said.ts not in first)
        self.counted -= {said.ts for said in gone}
        self.counted |= {said.ts for said in answers if not said.is_deleted}

    counted: set[str] = field(default_factory=set)
    """Answers that were there when their thread was last read."""
    answers_before: dict[str, frozenset[str]] = field(default_factory=dict)
    """Answers that were there before the first read."""

    def _look(self, ts: str, *, is_new: bool) -> None:
        said = self.space.messages[ts]
        if said.subtype == "channel_join":
            return
        if said.is_deleted:
            if ts in self.read:
                del self.read[ts]
                self.told.append(("message_deleted", ts, ""))
        elif ts not in self.read:
            self.read[ts] = said.edited
            if is_new:
                self.told.append(("message_posted", ts, ""))
        elif said.edited != self.read[ts]:
            self.read[ts] = said.edited
            self.told.append(("message_edited", ts, said.edited or ""))

    def _is_shown(self, ts: str) -> bool:
        said = self.space.messages[ts]
        return not said.is_deleted and (not said.is_reply or said.subtype == "thread_broadcast")


class Story:
    """A history under way: what people do, and a poller that is killed and meets faults."""

    def __init__(self, server: SlackHttp, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = FakeClock()
        self.space = SlackWorkspace(self.clock, page_size=self.random.choice((1, 2, 3, 5, 200)))
        server.workspace = self.space
        self.server = server
        self.delivered = 0

    def driver(self, item: WatchedItem) -> Driver:
        """A poller of that item, by the real client."""
        client = slack.client(self.server.url, self.clock)
        chance = self.random.choice((0.0, 0.1, 0.3))
        return Driver(
            LISTENER,
            slack.CONNECTION,
            {},
            [item],
            lambda _item: client,
            self.clock,
            Deaths(self.random, chance),
            pages_per_tick=self.random.choice((1, 2, 5, 1000)),
        )

    def act(self) -> None:
        """Somebody does something."""
        chance = self.random
        alive = [said for said in self.space.messages.values() if not said.is_deleted]
        own = [said for said in alive if said.subtype != "channel_join"]
        roots = [said for said in own if not said.is_reply]
        match chance.choice(("post", "post", "answer", "answer", "edit", "delete", "join", "burst", "time")):
            case "answer" if roots:
                subtype = chance.choice((None, None, None, "thread_broadcast"))
                self.space.post(self.word(), root=chance.choice(roots).ts, subtype=subtype)
            case "edit" if own:
                self.space.edit(chance.choice(own).ts, self.word())
            case "delete" if own:
                self.space.delete(chance.choice(own).ts)
            case "join":
                self.space.post("somebody has joined", subtype="channel_join")
            case "burst":
                for _ in range(chance.choice((3, 12, 40))):
                    self.space.post(self.word())
                    self.clock.advance(seconds=chance.choice((0, 0, 1, 20)))
            case "time":
                self.clock.advance(seconds=chance.choice((0.5, 30, 400, 4000)))
            case _:
                self.space.post(self.word())

    def word(self) -> str:
        """Something to say; A → B → A happens."""
        return self.random.choice(("a", "b", "deploy &amp; test", "<@UADA000001> look", "größer"))

    def disturb(self, share: float) -> None:
        """Let that share of calls fail from now on."""
        chance = self.random
        self.space.fault = lambda _method: chance.choice(FAULTS) if chance.random() < share else None

    def poll_badly(self, driver: Driver) -> None:
        """Some polls under faults and deaths, then one that comes through, with a sweep."""
        self.clock.advance(seconds=301)
        self.disturb(self.random.choice((0.0, 0.1, 0.4)))
        for _ in range(self.random.randrange(6)):
            driver.tick()
        self.disturb(0)
        driver.settle(2000)
        # What died in the middle of a sweep left answers to the next one.
        self.clock.advance(seconds=301)
        driver.settle(2000)

    def deliver(self, driver: Driver) -> None:
        """Slack delivers what was done since, in any order, some of it twice."""
        fresh = self.space.done[self.delivered :]
        self.delivered = len(self.space.done)
        every = fresh + [done for done in fresh if self.random.random() < 0.3]
        self.random.shuffle(every)
        for done in every:
            if self.random.random() < 0.1:
                driver.tick()
            headers, body = slack.delivery(done.event, self.clock.now().timestamp())
            assert LISTENER.webhook is not None
            driver.deliver(LISTENER.webhook, headers, body, slack.SECRET)


def told_by(driver: Driver) -> list[Told]:
    """What the listener told, in the form of `Told`."""
    return [_told(event.payload, event.dedup_key) for event in driver.intake.events]


def _told(payload: Any, key: str) -> Told:
    at = key.partition("@")[0].rpartition(":")[2] if payload.kind == "message_edited" else ""
    return payload.kind, payload.message_id, at


@histories
@given(seed=st.integers(0, 2**32))
def test_every_change_that_polls_can_see_is_one_event(server: SlackHttp, seed: int):
    story = Story(server, seed)
    for _ in range(story.random.randrange(12)):
        story.act()
    driver = story.driver(slack.channel_item())
    driver.settle(2000)
    expected = Expected(story.space)
    expected.begin()
    for said in story.space.messages.values():
        if said.is_reply and not said.is_deleted:
            expected.counted.add(said.ts)
    for root in story.space.messages:
        expected.answers_before[root] = frozenset(said.ts for said in story.space.answers(root))
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 15)):
            story.act()
        story.poll_badly(driver)
        expected.polled()
    assert sorted(told_by(driver)) == sorted(expected.told)
    assert not driver.intake.dead_letters


@histories
@given(seed=st.integers(0, 2**32))
def test_with_deliveries_in_any_order_every_single_change_is_one_event(server: SlackHttp, seed: int):
    story = Story(server, seed)
    for _ in range(story.random.randrange(12)):
        story.act()
    driver = story.driver(slack.channel_item())
    driver.settle(2000)
    story.delivered = begun = len(story.space.done)
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 15)):
            story.act()
        if story.random.random() < 0.5:
            story.poll_badly(driver)
        story.deliver(driver)
        story.poll_badly(driver)
    joined = {said.ts for said in story.space.messages.values() if said.subtype == "channel_join"}
    done = [
        (one.kind, one.ts, one.at if one.kind == "message_edited" else "")
        for one in story.space.done[begun:]
        if one.ts not in joined
    ]
    told = told_by(driver)
    assert len(told) == len(set(told))
    assert set(told) <= set(done)
    # What a poll read as already edited may be told as posted like that, without the edit.
    assert set(done) - set(told) <= {("message_edited", *edit) for edit in story.space.shown_edited}
    for said in story.space.messages.values():
        subject = f"C0TEST0001/{said.root}/{said.ts}"
        state = driver.states(driver.items[0]).get(subject)
        assert said.is_reply or not (said.is_deleted and state), "what is gone is not remembered"


@histories
@given(seed=st.integers(0, 2**32))
def test_a_watched_thread_tells_each_answer_edit_and_deletion(server: SlackHttp, seed: int):
    story = Story(server, seed)
    root = story.space.post("the question")
    for _ in range(story.random.randrange(5)):
        story.space.post(story.word(), root=root)
    driver = story.driver(slack.thread_item(root))
    driver.settle(2000)
    read = {said.ts: said.edited for said in story.space.messages.values()}
    told: list[Told] = []
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 12)):
            alive = story.space.answers(root)
            match story.random.choice(("answer", "answer", "edit", "delete", "elsewhere", "time")):
                case "edit" if alive:
                    story.space.edit(story.random.choice(alive).ts, story.word())
                case "delete" if alive:
                    story.space.delete(story.random.choice(alive).ts)
                case "elsewhere":
                    story.space.post(story.word())
                case "time":
                    story.clock.advance(seconds=story.random.choice((1, 70, 500)))
                case _:
                    story.space.post(story.word(), root=root)
        story.poll_badly(driver)
        for said in [one for one in story.space.messages.values() if one.root == root]:
            if said.is_deleted and said.ts in read:
                del read[said.ts]
                told.append(("message_deleted", said.ts, ""))
            elif not said.is_deleted and said.ts not in read:
                read[said.ts] = said.edited
                told.append(("message_posted", said.ts, ""))
            elif not said.is_deleted and said.edited != read[said.ts]:
                read[said.ts] = said.edited
                told.append(("message_edited", said.ts, said.edited or ""))
    assert sorted(told_by(driver)) == sorted(told)


@histories
@given(seed=st.integers(0, 2**32))
def test_messages_written_while_a_poll_is_under_way_are_told_once_and_in_order(server: SlackHttp, seed: int):
    story = Story(server, seed)
    story.space.post("before")
    driver = story.driver(slack.channel_item())
    driver.settle(2000)

    def meanwhile(_method: str) -> str | None:
        if story.random.random() < 0.3 and len(story.space.messages) < 80:
            story.space.post(story.word())
            story.clock.advance(seconds=story.random.choice((0, 3)))
        return story.random.choice(FAULTS) if story.random.random() < 0.1 else None

    for _ in range(25):
        story.space.post(story.word())
        story.clock.advance(seconds=story.random.choice((0, 1, 9)))
    story.space.fault = meanwhile
    for _ in range(20):
        driver.tick()
    story.disturb(0)
    driver.settle(2000)
    posted = [ts for kind, ts, _ in told_by(driver) if kind == "message_posted"]
    assert posted == sorted(story.space.messages)[1:]
