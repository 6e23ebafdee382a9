"""GitHub through the whole engine: manifests, the client of the connection, the listener, decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from dct_pipelines.bootstrap.connected import Connected
from dct_pipelines.engine.listening import Listening
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.library import Library
from tests.fakes.github_server import TOKEN, GitHubServer, github_server
from tests.fakes.github_world import GitHubWorld
from tests.fakes.ports import FakeSecrets
from tests.support.desk import desk_on
from tests.support.world import World

pytestmark = pytest.mark.integration
MANIFEST = """
kind: connection
name: hub
type: github
base: {base}
credential: env:TOKEN
allow_private_network: true
---
kind: item
name: payments
type: git_repository
connection: hub
location: acme/shop
title: Payments
---
kind: trigger
name: approved
type: deployment
items: [payments]
match: all
conditions:
  - type: pr_approved
    config: {{target_branch: main}}
  - type: tests_passed
    config: {{checks: [unit]}}
actions:
  - type: notify_users
    config:
      channels: [{{channel: outbox, to: [team]}}]
      subject: "{{{{ event.number }}}} is approved"
      text: "{{{{ event.head }}}}"
"""


@pytest.fixture
def engine(database: Database) -> World:
    return World(database)


@pytest.fixture
def server(engine: World) -> Iterator[GitHubServer]:
    world = GitHubWorld(engine.clock)
    with github_server(world) as served:
        world.url = f"{served.url}/acme/shop"
        base = world.push("main", {"a.txt": "1"})
        world.shop.commit("feature/pay", {"b.txt": "1"}, parents=[base])
        yield served


def test_a_pull_request_fires_when_its_head_is_approved_and_its_check_passed(
    database: Database, engine: World, server: GitHubServer
) -> None:
    world, secrets = server.world, FakeSecrets({"env:TOKEN": TOKEN})
    connected = Connected(database, Library(database, secrets), secrets, world.git, engine.clock)
    listening = Listening(
        database, engine.clock, engine.intake, engine.decider, connected.listener_port, min_interval_seconds=1
    )
    desk = desk_on(database)
    desk.manager = replace(desk.manager, recorded=listening.recorded)
    desk.apply(MANIFEST.format(base=server.url))
    pull = world.open("feature/pay", "main", "Pay by card")
    world.check(world.head(pull), "unit", None)
    world.review(pull, "lead", "APPROVED")

    def fired() -> int:
        engine.clock.advance(seconds=60)
        report = listening.tick("github")
        assert not report.problems
        with database.connect() as connection:
            return len(connection.execute(select(tables.trigger_executions)).all())

    assert fired() == 0
    assert fired() == 0
    world.check(world.head(pull), "unit", "SUCCESS")
    assert fired() == 1
    world.push("feature/pay", {"b.txt": "2"})
    assert fired() == 1
    with database.connect() as connection:
        kinds = connection.scalars(select(tables.events.c.kind).order_by(tables.events.c.seq)).all()
    assert kinds.count("pull_request_assessed") >= 3
    assert "head_moved" in kinds
