"""Listening: one connection's trouble stays its own, and what could not be read stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event, Timer
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from dct_pipelines.domain.errors import (
    ConnectionDown,
    CredentialRefused,
    DctError,
    InvalidInput,
    ItemTemporarilyUnreadable,
    Throttled,
)
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.reading import pause_after
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import sources
from tests.fakes.ports import NOON
from tests.support.waiting import eventually
from tests.support.world import World

Answer = Callable[[], RefSnapshot]
OID = "a" * 40


class FakeReader:
    """A repository reader that answers, or fails, as it is told."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls = 0

    def refs(self) -> RefSnapshot:
        self.calls += 1
        return self.answer()

    def fetch(self, _wanted: Any) -> frozenset[str]:
        """Everything that was asked for could be had."""
        return frozenset()


def branches(*names: str) -> Answer:
    raw = "".join(f"{OID}\trefs/heads/{name}\n" for name in names).encode()
    return lambda: RefSnapshot(raw)


def failing(error: Exception) -> Answer:
    def answer() -> RefSnapshot:
        raise error

    return answer


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def readers() -> dict[str, FakeReader]:
    return {}


@pytest.fixture
def listening(world: World, readers: dict[str, FakeReader]) -> Listening:
    def port_for(_source: Any, item: Any) -> FakeReader:
        return readers.setdefault(item.name, FakeReader(branches("main")))

    return Listening(world.database, world.clock, world.intake, world.decider, port_for, 5.0)


def connection_row(world: World, connection_id: UUID | None = None) -> dict[str, Any]:
    wanted = connection_id or world.connection_id
    return next(row for row in world.rows(tables.connections) if row["id"] == wanted)


def cursors(world: World) -> dict[str, str]:
    names = {row["id"]: row["name"] for row in world.rows(tables.context_library)}
    return {names[row["item_id"]]: row["state"] for row in world.rows(tables.item_cursors)}


def test_an_item_that_cannot_be_read_is_marked_and_its_siblings_are_read(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    world.item("other")
    readers["other"] = FakeReader(failing(ItemTemporarilyUnreadable("it is locked; it is tried again")))
    report = listening.tick("git")
    assert cursors(world) == {"sample": "ok", "other": "unreadable"}
    assert report.problems == ["other: it is locked; it is tried again"]
    assert connection_row(world)["health"] == "ok"


def test_an_item_whose_read_takes_the_connection_down_holds_up_its_siblings_once(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    """A host may answer 502 whenever it is asked for one large repository."""
    world.item("alone")
    readers["alone"] = FakeReader(failing(ConnectionDown("answered 502")))
    listening.tick("git")
    assert [name for name, reader in readers.items() if reader.calls] == ["alone"]
    world.clock.advance(minutes=10)
    listening.tick("git")
    assert {name: reader.calls for name, reader in readers.items()} == {"alone": 2, "sample": 1}
    assert cursors(world) == {"alone": "new", "sample": "ok"}


def test_an_item_that_the_budget_did_not_reach_is_the_first_of_the_next_read(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    world.item("alone")
    until = world.clock.now() + timedelta(minutes=1)
    readers["sample"] = FakeReader(failing(Throttled("wait", not_before=until)))
    listening.tick("git")
    world.clock.advance(minutes=10)
    listening.tick("git")
    assert {name: reader.calls for name, reader in readers.items()} == {"alone": 1, "sample": 2}


def test_what_is_not_valid_in_one_item_keeps_no_other_connection_from_being_read(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    world.item("other")
    readers["sample"] = FakeReader(failing(InvalidInput("'x' is not a full object id")))
    listening.tick("git")
    assert cursors(world) == {"sample": "unreadable", "other": "ok"}


def test_who_writes_a_trigger_is_told_when_the_past_could_not_be_recorded_in_time(
    world: World, listening: Listening
) -> None:
    with listening.recorded([world.item_id], budget_seconds=-1) as seen:
        assert any("fires as if it were new" in problem for problem in seen.problems)


def test_a_fault_in_a_listener_is_the_items_trouble_only(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    world.item("other")
    readers["other"] = FakeReader(failing(ZeroDivisionError("oh")))
    listening.tick("git")
    assert cursors(world) == {"sample": "ok", "other": "unreadable"}


def test_a_connection_that_is_down_is_left_alone_and_tried_again_later(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    readers["sample"] = FakeReader(failing(ConnectionDown("no route to host")))
    for _ in range(3):
        listening.tick("git")
        world.clock.advance(seconds=30)
    row = connection_row(world)
    assert (row["health"], row["consecutive_failures"]) == ("down", 3)
    assert row["not_before"] > world.clock.now() - timedelta(seconds=30)
    readers["sample"].answer = branches("main")
    world.clock.advance(seconds=600)
    listening.tick("git")
    row = connection_row(world)
    assert (row["health"], row["consecutive_failures"], row["health_detail"]) == ("ok", 0, None)


def test_one_connection_that_is_down_does_not_keep_others_from_being_read(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    there = uuid4()
    with world.database.begin() as connection:
        connection.execute(
            insert(tables.connections).values(id=there, name="there", kind="git", created_by="local")
        )
    other = world.item("other")
    with world.database.begin() as connection:
        library = tables.context_library
        connection.execute(update(library).where(library.c.id == other).values(connection_id=there))
    readers["sample"] = FakeReader(failing(ConnectionDown("no route to host")))
    listening.tick("git")
    assert cursors(world) == {"sample": "new", "other": "ok"}


def test_a_connection_that_another_process_reads_is_left_to_it(world: World, listening: Listening) -> None:
    with world.database.connect() as elsewhere:
        assert sources.try_lock(elsewhere, world.connection_id)
        report = listening.tick("git")
    assert report.problems == ["here is being read by another process"]
    assert report.items == 0


def test_a_database_error_is_nobodys_but_the_systems(
    listening: Listening, readers: dict[str, FakeReader]
) -> None:
    readers["sample"] = FakeReader(failing(DctError("the disk is full; make room")))
    with pytest.raises(DctError, match="disk is full"):
        listening.tick("git")


def test_items_can_be_read_though_they_are_not_due_and_nobody_else_reads_them_meanwhile(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    listening.tick("git")
    world.clock.advance(seconds=60)
    with listening.recorded([world.item_id]) as seen:
        assert readers["sample"].calls == 2
        assert listening.tick("git").problems == ["here is being read by another process"]
    assert seen.problems == []
    assert listening.tick("git").problems == []


def test_a_read_that_is_under_way_is_waited_for_before_the_past_is_recorded(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    begun, go_on = Event(), Event()
    order: list[str] = []

    def slow() -> RefSnapshot:
        order.append("begins")
        begun.set()
        assert go_on.wait(10)
        order.append("ends")
        return branches("main")()

    readers["sample"] = FakeReader(slow)
    with ThreadPoolExecutor(1) as pool:
        tick = pool.submit(listening.tick, "git")
        assert begun.wait(10)
        Timer(0.3, go_on.set).start()
        with listening.recorded([world.item_id]) as seen:
            assert order == ["begins", "ends"] * 2
        assert seen.problems == tick.result(10).problems == []


def test_a_provider_that_does_not_answer_holds_up_no_other_connection(
    world: World, listening: Listening, readers: dict[str, FakeReader]
) -> None:
    go_on = Event()

    def silent() -> RefSnapshot:
        assert go_on.wait(30)
        raise ConnectionDown("it did not answer")

    readers["sample"] = FakeReader(silent)
    elsewhere = world.connection("elsewhere")
    world.item("other", connection_id=elsewhere)
    try:
        for _ in range(2):
            report = listening.tick("git", patience_seconds=3)
            assert readers["other"].calls == 1
            assert [problem.partition(" ")[0] for problem in report.problems] == ["here"]
            assert connection_row(world, elsewhere)["health"] == "ok"
            world.clock.advance(seconds=5)
            readers["other"].calls = 0
    finally:
        go_on.set()
    assert readers["sample"].calls == 1
    assert eventually(lambda: bool(connection_row(world)["health"] == "failing"))


def test_throttling_waits_as_told_and_is_no_failure() -> None:
    until = NOON + timedelta(hours=1)
    assert pause_after(Throttled("slow down", not_before=until), 7, NOON, 0.5) == ("throttled", until)


def test_a_refused_credential_opens_the_breaker_at_once() -> None:
    health, until = pause_after(CredentialRefused(), 0, NOON, 0.5)
    assert health == "down"
    assert until >= NOON + timedelta(minutes=10)


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_pauses_grow_with_jitter_up_to_a_bound(chance: float) -> None:
    pauses = [
        (pause_after(ConnectionDown(), failures, NOON, chance)[1] - NOON).total_seconds()
        for failures in range(12)
    ]
    assert pauses == sorted(pauses)
    assert 2.5 <= pauses[0] <= 5
    assert 150 <= pauses[-1] <= 300
