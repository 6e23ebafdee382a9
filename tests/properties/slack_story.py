"""Random histories of a Slack workspace, and what of them polls must tell, by the table of the reference."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.listeners.slack import LISTENER
from tests.fakes.ports import FakeClock
from tests.fakes.slack_http import SlackHttp
from tests.fakes.slack_server import SlackWorkspace
from tests.properties.driver import Deaths, Driver
from tests.support import slack

FAULTS = ("500", "503", "429", "reset", "half", "html", "internal_error", "ratelimited")
Told = tuple[str, str, str]
"""What an event says: its kind, its message, and for an edit when."""


@dataclass
class Expected:
    """What polls must tell of a channel, by the table: kept from what the workspace says, phase by phase."""

    space: SlackWorkspace
    read: dict[str, str | None] = field(default_factory=dict)
    """Messages that a poll has read, with the edit that it has seen."""
    told: list[Told] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)
    """Answers that were there when their thread was last read."""
    answers_before: dict[str, frozenset[str]] = field(default_factory=dict)
    """Answers that were there before the first read."""

    def begin(self) -> None:
        """The first read: what history shows is known, answers are not."""
        for said in self.space.messages.values():
            if self._is_shown(said.ts):
                self.read[said.ts] = said.edited
            if said.is_reply and not said.is_deleted:
                self.counted.add(said.ts)
            self.answers_before[said.ts] = frozenset(answer.ts for answer in self.space.answers(said.ts))

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
        self.space = SlackWorkspace(self.clock, page_size=self.random.choice((1, 2, 3, 5, 5, 200, 200)))
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
            pages_per_tick=self.random.choice((1, 2, 5, 1000, 1000)),
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
                for _ in range(chance.choice((3, 12, 25))):
                    self.space.post(self.word())
                    self.clock.advance(seconds=chance.choice((0, 0, 1, 20)))
            case "time":
                self.clock.advance(seconds=chance.choice((0.5, 30, 400, 4000)))
            case _:
                self.space.post(self.word())

    def word(self) -> str:
        """Something to say; A → B → A happens."""
        return self.random.choice(("a", "b", "deploy &amp; test", "<@UDEV000001> look", "größer"))

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
