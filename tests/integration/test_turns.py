"""A turn: who is busy is read again within it, and nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import update

from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.turns import Turn
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.world import World

OID = "a" * 40


@dataclass
class Growing:
    """A repository that has one branch more at each of its first reads, and then rests."""

    growing_reads: int
    reads: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    def refs(self) -> RefSnapshot:
        self.reads.append(self.elapsed)
        count = min(len(self.reads), self.growing_reads)
        return RefSnapshot("".join(f"{OID}\trefs/heads/b{n}\n" for n in range(count)).encode())

    def fetch(self, _wanted: Any) -> frozenset[str]:
        """Everything that was asked for could be had."""
        return frozenset()


@dataclass
class Hours:
    """Sleeps by moving the test's clock."""

    world: World
    repository: Growing

    def sleep(self, seconds: float) -> None:
        self.repository.elapsed += seconds
        self.world.clock.advance(seconds=seconds)

    def monotonic(self) -> float:
        return self.repository.elapsed


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def reads(world: World, growing_reads: int, config: dict[str, Any]) -> list[float]:
    """When a turn of 4 s reads a connection of that config, in seconds, after the read that knows nothing."""
    repository = Growing(growing_reads)
    with world.database.begin() as connection:
        connection.execute(update(tables.connections).values(config=config))
    listening = Listening(
        world.database, world.clock, world.intake, world.decider, lambda *_: repository, 5.0
    )
    listening.tick("git")
    world.clock.advance(seconds=5)
    hours = Hours(world, repository)
    Turn(listening, world.clock, 4.0, hours.sleep, hours.monotonic).read("git")
    return repository.reads[1:]


@pytest.mark.parametrize(("busy_seconds", "expected"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (4, [0])])
def test_a_busy_connection_is_read_again_until_the_turn_is_nearly_over(
    world: World, busy_seconds: int, expected: list[float]
) -> None:
    assert reads(world, 100, {"busy_interval_seconds": busy_seconds}) == expected


def test_the_first_read_that_brings_nothing_is_the_last_of_the_turn(world: World) -> None:
    assert reads(world, 3, {"busy_interval_seconds": 1}) == [0, 1, 2]


def test_a_connection_that_was_given_no_busy_interval_is_read_once_a_turn(world: World) -> None:
    assert reads(world, 100, {}) == [0]
