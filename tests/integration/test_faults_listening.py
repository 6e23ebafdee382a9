"""Listeners that are killed between pages, or tell the same twice: each change is stored and decided once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.engine.intake import Intake
from dct_pipelines.engine.listening import Listening
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.git import FakeGit
from tests.support.stage import Killed
from tests.support.world import World

pytestmark = pytest.mark.integration
URL = "/srv/sample.git"
BRANCHES = 110
"""Each gives two events, so that a read has two pages."""


class MortalDatabase(Database):
    """A process that is killed at its `dies_at`-th transaction, `is_done` or not when it dies."""

    dies_at = 0
    is_done = False
    begun = 0

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self.begun += 1
        dies = self.begun == self.dies_at
        if dies and not self.is_done:
            raise Killed
        with super().begin() as connection:
            yield connection
        if dies:
            raise Killed


@pytest.fixture
def world(database: Database) -> World:
    world = World(database)
    world.trigger("ready")
    return world


def listening(world: World, git: FakeGit, database: Database) -> Listening:
    """The listener of a process with that database."""
    intake = Intake(database, world.clock, world.decider, "0.1.0")
    reader = RepositoryReader(git, RepositoryRef(URL))
    return Listening(database, world.clock, intake, world.decider, lambda *_: reader, 5.0)


def tick(world: World, of: Listening) -> int:
    """New events of a tick at a moment when everything is due."""
    world.clock.advance(seconds=1)
    with world.database.begin() as connection:
        connection.execute(update(tables.connections).values(next_due_at=None))
    return of.tick("git").events


@pytest.mark.parametrize("is_done", [False, True], ids=["before a commit", "after a commit"])
def test_a_listener_killed_at_any_transaction_leaves_no_gap_and_no_repeat(world: World, is_done: bool):
    git = FakeGit()
    shop = git.repository(URL)
    base = shop.commit("main", {"a.txt": "1"})
    shop.branch("qa", base)
    survivor = listening(world, git, world.database)
    tick(world, survivor)
    tick(world, survivor)
    expected: list[str] = []
    for dies_at in count(1):
        for number in range(BRANCHES):
            name = f"feature/{dies_at}-{number}"
            shop.commit(name, {f"{name}.txt": "1"}, parents=[base])
            expected.append(name)
        mortal = MortalDatabase(world.database.engine, None)
        mortal.dies_at, mortal.is_done = dies_at, is_done
        try:
            tick(world, listening(world, git, mortal))
            was_killed = False
        except Killed:
            was_killed = True
        tick(world, survivor)
        assert tick(world, survivor) == 0
        if not was_killed:
            break
    assert dies_at > 3
    told = Counter((row["kind"], row["payload"]["branch"]) for row in world.rows(tables.events))
    assert told == Counter(
        {(kind, one): 1 for one in expected for kind in ("branch_created", "branch_assessed")}
    )
    fired = Counter(row["subject"] for row in world.rows(tables.trigger_executions))
    assert fired == Counter({f"refs/heads/{name}": 1 for name in expected})
    assert [row["seq"] for row in world.rows(tables.events)] == list(range(1, 2 * len(expected) + 1))


_examples = count()


@given(told=st.lists(st.integers(0, 3), max_size=12), in_a_page=st.integers(1, 3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_that_are_told_again_in_any_order_change_nothing(world: World, told: list[int], in_a_page: int):
    """As two processes do that read the same state, or one that did not hear that its page was stored."""
    prefix = f"feature/{next(_examples)}"
    pages: list[Any] = [
        world.page(
            *(world.assessed(f"{prefix}-{place}-{number}") for number in range(in_a_page)),
            token={"page": place},
        )
        for place in range(4)
    ]
    seen: set[int] = set()
    for place in told:
        report = world.intake.ingest(world.connection_id, pages[place])
        is_new = place not in seen
        assert len(report.events) == (in_a_page if is_new else 0)
        assert report.decided.fired == len(report.events)
        seen.add(place)
    ours = [row for row in world.rows(tables.events) if row["payload"]["branch"].startswith(f"{prefix}-")]
    assert len(ours) == len(seen) * in_a_page
