"""Connections whose items are all read by one question: one token for all, each item's trouble its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from dct_pipelines.domain.errors import ConnectionDown, ItemUnreadable
from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.listener import (
    DeadLetter,
    ItemConfig,
    ItemReading,
    ListenerType,
    Page,
    ReadContext,
    WatchedConnection,
)
from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.sources import source_stories
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import watching
from dct_pipelines.store.watching import letters, standing
from tests.fakes.ports import FakeClock
from tests.support.world import World

pytestmark = pytest.mark.integration


@dataclass
class Board:
    """A provider with one feed of messages: (number, name of the item, text). A None is no message at all."""

    feed: list[tuple[int, str, str] | None] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    error: Exception | None = None
    asked_since: list[int] = field(default_factory=list)

    def since(self, number: int) -> list[tuple[int, str, str] | None]:
        self.asked_since.append(number)
        if self.error is not None:
            raise self.error
        return self.feed[number:]


def read_board(connection: WatchedConnection, context: ReadContext, board: Board) -> Iterator[Page]:
    """A page for each message, so that a read can stop between any two."""
    names = {item.name: item for item in connection.items}
    readings = [
        ItemReading(item.id, {}, "nobody lets us in" if item.name in board.forbidden else None)
        for item in connection.items
        if item.name in board.forbidden
    ]
    done = connection.token.get("done", 0)
    for offset, entry in enumerate(board.since(done)):
        token = {"done": done + offset + 1}
        if entry is None:
            yield Page(None, token, dead_letters=(DeadLetter(str(offset), "?", "no message"),), is_last=False)
            continue
        number, name, text = entry
        item = names[name]
        message = MessagePosted(message_id=str(number), author=Person(id="u1"), text=text)
        event = EventDraft(
            item_id=item.id,
            subject="feed",
            dedup_key=key_of(f"board:{number}", item.id),
            occurred_at=context.now,
            payload=message,
        )
        yield Page(None, token, events=(event,), is_last=False)
    yield Page(None, {"done": len(board.feed)}, readings=tuple(readings))


BOARD: ListenerType[Any] = ListenerType(
    kind="git",
    summary="a board",
    item_kinds=frozenset({ItemKind.GIT_REPOSITORY}),
    event_kinds=frozenset({"message_posted"}),
    item_config=ItemConfig,
    example={},
    read_together=read_board,
)


@pytest.fixture
def world(database: Database) -> World:
    world = World(database, FakeClock(datetime.now(UTC) + timedelta(seconds=1)))
    world.item("other")
    return world


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def ports() -> list[Any]:
    return []


@pytest.fixture
def listening(world: World, board: Board, ports: list[Any]) -> Listening:
    def port_for(_source: Any, item: Any) -> Board:
        ports.append(item)
        return board

    made = Listening(world.database, world.clock, world.intake, world.decider, port_for, 5.0)
    return replace(made, listener_of=lambda _kind: BOARD)


def stories(world: World) -> dict[str, Any]:
    with world.database.connect() as connection:
        return {one.item: one for one in source_stories(connection)}


def test_all_items_are_read_by_one_question_that_goes_on_from_the_last_one(world, board, listening, ports):
    board.feed = [(1, "sample", "one"), (2, "other", "two")]
    report = listening.tick("git")
    assert (report.items, report.events, ports) == (2, 2, [None])
    world.clock.advance(seconds=60)
    board.feed.append((3, "sample", "three"))
    assert listening.tick("git").events == 1
    assert board.asked_since == [0, 2]


def test_without_an_item_there_is_nothing_to_ask(world, board, listening):
    world.connection("empty")
    listening.tick("git")
    assert len(board.asked_since) == 1


def test_items_without_a_cursor_of_their_own_are_shown_as_read_when_all_were(world, board, listening):
    assert stories(world)["sample"].polled_at is None
    listening.tick("git")
    for name in ("sample", "other"):
        story = stories(world)[name]
        assert (story.state, story.read_ok_at, story.is_well) == ("ok", world.clock.now(), True)
    with world.database.connect() as connection:
        shown = watching.reading(connection, world.item_id)["reading"]
        [row] = standing.standings(connection)
    assert (shown["state"], shown["read_ok_at"]) == ("ok", world.clock.now())
    assert row.read_up_to == world.clock.now()


def test_an_item_that_was_added_since_was_not_read_yet(world, board, listening):
    world.clock.time = datetime.now(UTC) - timedelta(hours=1)
    listening.tick("git")
    assert stories(world)["sample"].polled_at is None


def test_an_item_that_cannot_be_read_is_its_own_trouble(world, board, listening):
    listening.tick("git")
    read_at = world.clock.now()
    world.clock.advance(seconds=60)
    board.forbidden = {"other"}
    board.feed = [(1, "sample", "one")]
    listening.tick("git")
    found = stories(world)
    assert (found["sample"].state, found["sample"].read_ok_at) == ("ok", world.clock.now())
    assert (found["other"].state, found["other"].detail) == ("unreadable", "nobody lets us in")
    assert found["other"].read_ok_at in (None, read_at)
    assert not found["other"].is_well


def test_a_read_that_dies_between_two_pages_goes_on_where_it_was_and_repeats_nothing(world, board, listening):
    board.feed = [(number, "sample", "text") for number in range(5)]

    class Dies(Exception):
        pass

    def dying(connection: WatchedConnection, context: ReadContext, port: Board) -> Iterator[Page]:
        for place, page in enumerate(read_board(connection, context, port)):
            if place == 3:
                raise Dies
            yield page

    listener = replace(BOARD, read_together=dying)
    report = replace(listening, listener_of=lambda _kind: listener).tick("git")
    assert report.events == 3
    assert "a fault of the listener: Dies()" in report.problems[0]
    world.clock.advance(hours=1)
    assert listening.tick("git").events == 2
    keys = [row["dedup_key"] for row in world.rows(tables.events)]
    assert keys == [key_of(f"board:{number}", world.item_id) for number in range(5)]


def test_what_cannot_be_understood_is_kept_and_the_rest_goes_on(world, board, listening):
    board.feed = [(1, "sample", "one"), None, (3, "sample", "three")]
    assert listening.tick("git").events == 2
    with world.database.connect() as connection:
        [letter] = letters.of_connection(connection, world.connection_id)
    assert (letter.raw, letter.why, letter.count) == ("?", "no message", 1)


@pytest.mark.parametrize("error", [ConnectionDown("no route"), ItemUnreadable("no such board")])
def test_whatever_a_common_read_raises_is_the_connections_trouble_only(world, board, listening, error):
    board.error = error
    report = listening.tick("git")
    assert report.problems == [f"here: {error}"]
    assert world.rows(tables.connections)[0]["health"] == "failing"


def test_before_a_trigger_is_written_the_whole_connection_is_read(world, board, listening):
    board.feed = [(1, "other", "one")]
    ids: list[UUID] = [world.item_id]
    with listening.recorded(ids) as report:
        assert (report.events, report.problems) == (1, [])


@pytest.mark.parametrize("change", [{"location": "/srv/elsewhere.git"}, {"connection_id": None}])
def test_what_is_being_read_of_an_item_that_is_moved_meanwhile_is_not_stored_for_where_it_is_now(
    world, board, listening, change
):
    """The token of a ticket, kept for the next one, would have it watched for ever in that one's place."""

    def overtaken(connection: WatchedConnection, context: ReadContext, port: Board) -> Iterator[Page]:
        library = tables.context_library
        with world.database.begin() as writing:
            moved = update(library).where(library.c.id == world.item_id).values(**change)
            writing.execute(moved)
        yield Page(None, {"done": 1}, readings=(ItemReading(world.item_id, {"id": "of the old place"}),))

    listener = replace(BOARD, read_together=overtaken)
    report = replace(listening, listener_of=lambda _kind: listener).tick("git")
    assert report.problems == ["here was moved or read by another process meanwhile"]
    assert world.rows(tables.item_cursors) == []
    world.clock.advance(hours=1)
    assert listening.tick("git").problems == []
