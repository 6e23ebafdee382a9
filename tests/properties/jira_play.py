"""People who work at a simulated Jira site, a poller that is killed and lied to, and what it had to see.

What is expected is told by the site's own history: every change of a field exactly once; of a comment every
text that stood there while a read was drained, and nothing that never stood there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.jira import LISTENER
from tests.fakes.jira_site import PRIORITIES, STATUSES, Comment, Issue, JiraSite
from tests.fakes.rest_http import RestHttp
from tests.properties.driver import Driver

SITE = UUID("00000000-0000-4000-8000-00000000a1a1")
LONGEST_LAG = 40.0
WATCHED_FIELDS = frozenset(("status", "assignee", "priority", "summary", "description"))
SECRET = "hush"


@dataclass
class Play:
    """A site, people who work in it, and a poller that is killed and lied to."""

    site: JiraSite
    driver: Driver
    http: RestHttp
    chance: random.Random
    since: dict[tuple[UUID, int], int] = field(default_factory=dict)
    """How many changes a ticket had when the item began to see it."""
    posts: bool = False
    """Whether the site posts to us too."""
    known: dict[tuple[UUID, str], int] = field(default_factory=dict)
    """By item and comment: how many texts it had had then."""
    must: set[tuple[UUID, str, int]] = field(default_factory=set)
    """By item, comment and number of its text: it stood there while a read was drained."""

    def watch(self, kind: ItemKind, location: str) -> WatchedItem:
        """Begin to watch; what is there now is no event. Everything was quiet before."""
        number = len(self.driver.items)
        item = WatchedItem(uuid5(SITE, str(number)), f"item-{number}", kind, location, {}, {})
        self.driver.items = (*self.driver.items, item)
        self.sync()
        for issue in self.seen_by(item):
            self.since[item.id, issue.id] = len(issue.changes)
            self.known |= {(item.id, one.id): len(one.versions) for one in issue.comments}
        return item

    def seen_by(self, item: WatchedItem) -> list[Issue]:
        """The tickets that an item sees."""
        if item.kind is ItemKind.JIRA_QUERY:
            return list(self.site.issues.values())
        issue = self.site.named(item.location)
        return [issue] if issue is not None else []

    def sync(self) -> None:
        """Wait until the search knows everything, then read without faults until all is drained."""
        fault, self.http.fault = self.http.fault, lambda _asked: None
        self.site.clock.advance(seconds=LONGEST_LAG + 1)
        self.site.is_reindexing = False
        # A read that was interrupted goes on where it was; only the next one begins with everything again.
        self.driver.settle()
        self.driver.settle()
        self.http.fault = fault
        for item in self.driver.items:
            for issue in self.seen_by(item):
                for comment in issue.comments:
                    self.must.add((item.id, comment.id, len(comment.versions) - 1))

    def later(self) -> None:
        """Time passes, often none at all."""
        self.site.clock.advance(seconds=self.chance.choice((0, 0, 0.004, 0.3, 2, 20, 75)))

    def step(self, text: str) -> None:
        """Somebody does something."""
        there = [issue for issue in self.site.issues.values() if not issue.is_deleted]
        issue = self.chance.choice(there)
        comments = [one for one in issue.comments if one.is_there]
        kind = self.chance.choice(
            (
                "field",
                "field",
                "field",
                "both",
                "comment",
                "comment",
                "edit",
                "delete",
                "move",
                "create",
                "burst",
                "poll",
                "poll",
                "poll",
                "post",
                "sync",
            )
        )
        match kind:
            case "field":
                self._change(issue, self.chance.choice(sorted(WATCHED_FIELDS)), text)
            case "both":
                self.site.change(
                    issue, status=self.chance.choice(STATUSES), assignee=self.chance.choice((None, "lead"))
                )
            case "comment":
                self.site.comment(issue, text)
            case "edit" if comments:
                # Data Center may keep whole seconds: two edits within one cannot be told from one.
                self.site.clock.advance(seconds=1)
                self.site.edit(issue, self.chance.choice(comments), f"{text} {self.chance.random()}")
            case "delete" if comments:
                self.site.delete_comment(issue, self.chance.choice(comments))
            case "move":
                self.site.move(issue, self.chance.choice(("PAY", "OPS")))
            case "create" if len(there) < 14:
                self.site.create(
                    self.chance.choice(("PAY", "OPS")), assignee=self.chance.choice((None, "lead"))
                )
            case "burst":
                for one in there:
                    self._change(one, "status", text)
                    self.site.comment(one, text)
            case "post" if self.site.posted and self.posts:
                self._deliver()
            case "sync":
                self.sync()
            case _:
                self.site.is_reindexing = not self.site.is_cloud and self.chance.random() < 0.1
                self.driver.tick()

    def _change(self, issue: Issue, name: str, text: str) -> None:
        values: dict[str, tuple[str | None, ...]] = {
            "status": STATUSES,
            "assignee": (None, "dev", "lead"),
            "priority": PRIORITIES,
            "summary": (text, "another title"),
            "description": (text, None, "more\nwords"),
        }
        value: Any = {name: self.chance.choice(values[name])}
        self.site.change(issue, **value)

    def _deliver(self) -> None:
        """One of the last deliveries comes: late, or again."""
        body = json.dumps(self.chance.choice(self.site.posted[-5:])).encode()
        webhook = LISTENER.webhook
        assert webhook is not None
        self.driver.deliver(webhook, {"x-hub-signature": sign(body)}, body, SECRET)


def sign(body: bytes) -> str:
    """As Jira signs what it posts."""
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def judge(game: Play, item: WatchedItem) -> None:
    """Exactly what had to be seen, each once and in its order."""
    mine = [event for event in game.driver.intake.events if event.item_id == item.id]
    issues = {str(issue.id): issue for issue in game.seen_by(item)}
    assert {event.subject for event in mine} <= issues.keys()
    for subject, issue in issues.items():
        events = [event for event in mine if event.subject == subject]
        fields = [event for event in events if "comment" not in event.payload.kind]
        wanted = [*created(game, item, issue), *changed(game, item, issue)]
        seen = [told(event) for event in fields]
        if game.posts:
            # A delivery may come late, and overtake another.
            seen, wanted = sorted(seen, key=repr), sorted(wanted, key=repr)
        assert seen == wanted, (item.kind, fields, wanted)
        for comment in issue.comments:
            about = [event for event in events if getattr(event.payload, "comment_id", None) == comment.id]
            judge_comment(game, item, issue, comment, about)


def told(event: EventDraft) -> tuple[str, Any, Any]:
    """An event as (field, before, after)."""
    payload: Any = event.payload
    match payload.kind:
        case "status_changed":
            return "status", payload.from_status, payload.to_status
        case "assignee_changed":
            return "assignee", _called(payload.from_user), _called(payload.to_user)
        case "priority_changed":
            return "priority", payload.from_priority, payload.to_priority
        case _:
            name = {"title": "summary"}.get(payload.field, payload.field)
            return name, payload.before, payload.after or None


def _called(person: Any) -> str | None:
    return None if person is None else person.name.casefold()


def created(game: Play, item: WatchedItem, issue: Issue) -> list[tuple[str, Any, Any]]:
    """The first values of a ticket that was created while the query was watched."""
    if item.kind is not ItemKind.JIRA_QUERY or (item.id, issue.id) in game.since:
        return []
    order = ("status", "assignee", "priority", "summary", "description")
    return [(name, None, issue.first[name]) for name in order if issue.first[name]]


def changed(game: Play, item: WatchedItem, issue: Issue) -> list[tuple[str, Any, Any]]:
    """Every change of a field since."""
    changes = issue.changes[game.since.get((item.id, issue.id), 0) :]
    return [entry for change in changes for entry in change.items if entry[0] in WATCHED_FIELDS]


def judge_comment(
    game: Play, item: WatchedItem, issue: Issue, comment: Comment, events: list[EventDraft]
) -> None:
    """Its texts in their order, each at most once; those that stood while a read was drained, surely."""
    texts = [version.text for version in comment.versions]
    skipped = game.known.get((item.id, comment.id), 0)
    place, seen, before = skipped - 1, set(), texts[skipped - 1] if skipped else None
    for event in events:
        payload: Any = event.payload
        after = None if payload.kind == "comment_deleted" else getattr(payload, "text", None) or payload.after
        assert after in texts[place + 1 :], (texts, [one.payload for one in events])
        place = texts.index(after, place + 1)
        seen.add(place)
        if payload.kind == "comment_added":
            assert event is events[0]
            assert not skipped
        else:
            assert payload.before in (before, None if event is events[0] else before)
        before = after
    surely = {number for who, one, number in game.must if (who, one) == (item.id, comment.id)}
    for number in surely:
        was_known = skipped and item.kind is ItemKind.JIRA_TICKET
        if number >= skipped and (texts[number] is not None or seen or was_known):
            assert number in seen, (texts, number, [one.payload for one in events])
