"""What people do at a git host, at random, and what of it has to be remembered until the next look."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.hosted_world import REPOSITORY, HostedWorld, WorldRequest
from tests.properties.hosted_truth import Rules
from tests.support.hosted import Hosted

PEOPLE = ("dev", "lead", "guest")


@dataclass
class Deeds:
    """`touched` are pull requests that count as updated since the last look, `edited` comments, `titles` the
    changes of titles as they are read."""

    hosted: Hosted[Any, Any]
    rules: Rules
    chance: random.Random
    touched: set[int] = field(default_factory=set)
    edited: set[str] = field(default_factory=set)
    titles: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def world(self) -> HostedWorld:
        return self.hosted.world

    def forget(self) -> None:
        """Somebody has looked."""
        self.touched, self.edited, self.titles = set(), set(), {}

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
            REPOSITORY, request.number, head=head, method="merge", message="m"
        )
        if merged.state == "merged":
            self.world.touch(request)
            self.touched.add(request.number)
