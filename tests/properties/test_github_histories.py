"""GitHub loses nothing: random histories of a repository of our own, read by the real client and listener.

Polls are killed at random points, meet faults of every documented kind, and are helped by webhooks that come
twice, late, or not at all.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.snapshot import BranchState
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.github import LISTENER
from tests.fakes.github_server import CONNECTION, GitHubServer, github_server
from tests.fakes.github_world import Comment, GitHubWorld, Pull
from tests.fakes.ports import FakeClock
from tests.properties.driver import Deaths, Driver, histories
from tests.support.github_story import Story, checks_of, delivered, said

pytestmark = pytest.mark.timeout(1800)
SECRET = "hook"
PEOPLE = ("dev", "lead", "guest", "robot")
BRANCHES = ("feature/a", "feature/b", "feature/c", "qa")
CHECKS = ("unit", "lint")
SWEEP = timedelta(minutes=16)


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with github_server(GitHubWorld(FakeClock())) as served:
        yield served


class Life:
    """A repository under way: people, CIs, webhooks, and a poller that is killed and meets faults."""

    def __init__(self, server: GitHubServer, seed: int, number: int | None = None) -> None:
        self.random = random.Random(seed)
        self.clock = FakeClock()
        self.world = GitHubWorld(self.clock, page_size=self.random.choice((1, 2, 3, 100)))
        self.world.edits_update = self.random.random() < 0.5
        self.words = 0
        server.world, server.random, server.chance = self.world, self.random, 0.0
        self.server = server
        for login, changes in (("guest", {"can_push": False}), ("robot[bot]", {"type": "Bot"})):
            self.world.person(login, **changes)
        self.world.push("main", {"a.txt": "1"})
        self.comments: list[tuple[Pull, Comment]] = []
        self.deliveries: list[tuple[str, bytes]] = []
        self.story = Story(self.world, self.clock.now(), is_single=number is not None)
        self.number = number
        self.driver = self._driver()

    def _driver(self) -> Driver:
        client = self.server.client()
        kind = ItemKind.GIT_REPOSITORY if self.number is None else ItemKind.PULL_REQUEST
        place = "acme/shop" if self.number is None else f"acme/shop/pull/{self.number}"
        item = WatchedItem(UUID(int=1), "shop", kind, f"{self.server.url}/{place}", {}, {})
        git = RepositoryReader(self.world.git, RepositoryRef(self.world.url))
        return Driver(
            LISTENER,
            CONNECTION,
            {},
            [item],
            lambda found: HostedRepository(git, client.reader(found.location if found else "")),
            self.clock,
            Deaths(self.random, self.random.choice((0.0, 0.1, 0.3))),
            pages_per_tick=self.random.choice((1, 2, 1000)),
        )

    def word(self) -> str:
        self.words += 1
        return f"word {self.words}"

    def pass_time(self) -> None:
        self.clock.advance(seconds=self.random.choice((0, 0, 0, 1, 20, 70)))

    def watched(self) -> list[Pull]:
        pulls = self.world.pulls
        return list(pulls.values()) if self.number is None else [pulls[self.number]]

    def act(self) -> None:
        """Somebody does something; what would be seen by nobody (see the table) is not done."""
        chance, world = self.random, self.world
        pulls = list(world.pulls.values())
        alive = [pull for pull in pulls if pull.state == "OPEN"]
        pull = chance.choice(pulls) if pulls else None
        here = chance.choice(alive) if alive else None
        verb = chance.choice(
            "open push comment comment comment edit delete review review dismiss retitle describe draft "
            "retarget close reopen merge check check status burst".split()
        )
        by = chance.choice(PEOPLE)
        if verb == "open":
            self._open(by)
        elif verb == "push":
            world.push(chance.choice(BRANCHES), {"a.txt": self.word()}, self.word())
        elif verb == "burst" and here:
            for _ in range(chance.choice((3, 8))):
                self._said(here, world.comment(here, by, self.word()))
        elif verb == "comment" and pull:
            self._said(pull, world.comment(pull, by, self.word()))
        elif verb in ("edit", "delete"):
            self._change(verb)
        elif verb in ("check", "status"):
            self._check(verb)
        elif verb == "reopen" and pull and pull.state == "CLOSED":
            world.reopen(pull)
        elif here:
            self._change_request(verb, here, by)

    def _open(self, by: str) -> None:
        source = self.random.choice(BRANCHES[:3])
        if self.world.shop.head(source) is None:
            self.world.push(source, {"b.txt": self.word()}, self.word())
        body = self.random.choice(("", self.word()))
        self.world.open(source, "main", self.word(), body, by)

    def _change_request(self, verb: str, pull: Pull, by: str) -> None:
        chance, world = self.random, self.world
        match verb:
            case "review":
                state = chance.choice(("APPROVED", "CHANGES_REQUESTED", "COMMENTED"))
                lines = tuple(self.word() for _ in range(chance.choice((0, 0, 1, 4))))
                review = world.review(pull, by, state, chance.choice(("", self.word())), lines)
                self.story.of.setdefault(pull.number, []).append(review.anchor)
                for line in review.comments:
                    self._said(pull, line)
            case "dismiss" if pull.reviews:
                world.dismiss(pull, chance.choice(pull.reviews))
            case "retitle":
                world.retitle(pull, chance.choice(("A", "B", self.word())), by)
            case "describe":
                world.describe(pull, chance.choice(("", "A", self.word())))
            case "draft":
                world.draft(pull, is_draft=not pull.is_draft)
            case "retarget":
                world.retarget(pull, chance.choice(("main", "qa")))
            case "close":
                world.close(pull)
            case "merge" if pull.target == "main":
                world.merge(pull)

    def _check(self, verb: str) -> None:
        commit = self.random.choice([*self.world.shop.refs.values()])
        name = self.random.choice(CHECKS)
        if verb == "check":
            ends = (None, "SUCCESS", "FAILURE", "SKIPPED", "TIMED_OUT")
            workflow = self.random.choice(("ci", "ci", "nightly"))
            self.world.check(commit, name, self.random.choice(ends), workflow=workflow)
        else:
            self.world.status(commit, name, self.random.choice(("success", "error", "pending")))

    def _said(self, pull: Pull, comment: Comment) -> None:
        self.comments.append((pull, comment))
        self.story.of.setdefault(pull.number, []).append(comment.anchor)
        self._deliver("created", pull, comment, "")

    def _change(self, verb: str) -> None:
        known = [
            (pull, comment)
            for pull, comment in self.comments
            if comment in pull.all_comments() and (pull.state == "OPEN" or self.world.edits_update)
        ]
        if not known:
            return
        pull, comment = self.random.choice(known)
        before = comment.body
        if verb == "delete":
            self.world.delete(pull, comment)
            self._deliver("deleted", pull, comment, before)
        else:
            is_first = comment.updated_at < self.clock.now()
            text = self.random.choice(("A", "B")) if is_first else self.word()
            if text != before:
                self.world.edit(pull, comment, text)
                self._deliver("edited", pull, comment, before)

    def _deliver(self, action: str, pull: Pull, comment: Comment, before: str) -> None:
        """GitHub posts, or does not get through; now and then it posts something old again."""
        if self.number not in (None, pull.number) or self.random.random() < 0.6:
            return
        delivery = delivered(self.world, action, pull, comment, before)
        self.deliveries.append(delivery)
        if self.driver.intake.item_tokens:
            self._post(*delivery)
            self.story.delivered(action, pull, comment, before)
        if self.random.random() < 0.3:
            self._post(*self.random.choice(self.deliveries))

    def _post(self, event: str, body: bytes) -> None:
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-github-event": event, "x-hub-signature-256": f"sha256={signature}"}
        assert LISTENER.webhook is not None
        self.driver.deliver(LISTENER.webhook, headers, body, SECRET)

    def read(self) -> None:
        """Polls that may fail and die, then ones that do not, until even the sweep has been all around."""
        most = 0.3 if self.world.page_size == 100 else 0.05
        self.server.chance = self.random.choice((0.0, 0.05, most))
        hidden = set(self.random.sample(sorted(self.world.pulls), min(len(self.world.pulls), 2)))
        self.world.hidden = hidden if self.driver.intake.item_tokens and self.number is None else set()
        for _ in range(self.random.choice((0, 2, 5))):
            self.driver.tick()
            self.clock.advance(seconds=self.random.choice((2, 30)))
        self.world.hidden = set()
        for wait in (timedelta(seconds=2), SWEEP, timedelta(minutes=2)):
            self.clock.time += wait
            self._drain()
        self.server.chance = 0.0
        self.clock.advance(seconds=5)
        self._drain()

    def _drain(self) -> None:
        for _ in range(50):
            self.driver.settle(after=self._later)
            [token] = self.driver.intake.item_tokens.values()
            sweep = token["requests"]["sweep"]
            if self.number is not None or (sweep["cursor"] is None and not token["requests"]["missed"]):
                return
            self.clock.advance(seconds=2)
        raise AssertionError("the sweep never ends")

    def _later(self) -> None:
        self.clock.advance(seconds=2)


def lived(life: Life, taken: Callable[[], list[Pull]]) -> Life:
    """Before the first read, the first read, then phases."""
    for _ in range(life.random.randrange(12)):
        life.act()
        life.pass_time()
    life.clock.advance(seconds=70)
    life.story.epoch = life.clock.now()
    life.read()
    life.story.begin(taken())
    for _ in range(life.random.randrange(1, 4)):
        life.clock.advance(seconds=2)
        for _ in range(life.random.randrange(1, 14)):
            life.act()
            life.pass_time()
        life.read()
        life.story.polled(life.watched())
    return life


@given(st.integers(0, 10**9))
@histories
def test_everything_that_can_be_seen_of_pull_requests_is_told_once(server: GitHubServer, seed: int) -> None:
    life = Life(server, seed)
    lived(life, lambda: [pull for pull in life.watched() if pull.state == "OPEN"])
    assert said(life.driver.intake.events) == life.story.told
    assert not life.driver.intake.dead_letters
    for state in life.driver.states(life.driver.items[0]).values():
        if isinstance(state, BranchState):
            known = {name: check.value for name, check in state.checks.items()}
            assert known == checks_of(life.world, state.head)


@given(st.integers(0, 10**9))
@histories
def test_everything_that_can_be_seen_of_one_pull_request_is_told_once(
    server: GitHubServer, seed: int
) -> None:
    life = Life(server, seed, number=1)
    life._open("dev")
    lived(life, life.watched)
    assert said(life.driver.intake.events) == life.story.told
