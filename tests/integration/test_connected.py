"""The clients of connections: one for each, made anew when its definition changes, found by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from dct_pipelines.bootstrap.connected import MAKERS, Connected
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.ports import Clock
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.library import Library
from dct_pipelines.store.watching.sources import Source
from tests.fakes.git import FakeGit
from tests.fakes.ports import FakeClock, FakeSecrets

pytestmark = pytest.mark.integration


@dataclass
class FakeClient:
    """What a maker makes."""

    endpoint: Endpoint
    clock: Clock


@pytest.fixture
def secrets() -> FakeSecrets:
    return FakeSecrets({"env:TOKEN": "s3cret"})


@pytest.fixture
def connected(database: Database, secrets: FakeSecrets) -> Connected:
    makers = dict.fromkeys(("jira", "github", "mail"), FakeClient)
    return Connected(database, Library(database, secrets), secrets, FakeGit(), FakeClock(), makers)


def store(database: Database, name: str, kind: str, credential: str | None = None, **config: Any) -> UUID:
    made = uuid4()
    values = {"id": made, "name": name, "kind": kind, "config": config, "credential_ref": credential}
    with database.begin() as connection:
        connection.execute(insert(tables.connections).values(**values, created_by="local"))
    return made


def source(connection_id: UUID, kind: str = "jira", **config: Any) -> Source:
    return Source(connection_id, "tickets", kind, config, "env:TOKEN", 0)


def test_listeners_and_actions_share_the_client_of_a_connection(connected, database):
    config: dict[str, Any] = {"base": "https://example.org", "config": {"username": "a"}}
    made = store(database, "tickets", "jira", "env:TOKEN", **config)
    one: Any = connected.tracker("tickets")
    assert connected.tracker("tickets") is one
    assert connected.listener_port(source(made, **config), None) is one
    assert (one.endpoint.base, one.endpoint.config) == ("https://example.org", {"username": "a"})


def test_a_changed_definition_gets_a_new_client(connected):
    made = uuid4()
    one = connected.listener_port(source(made, base="https://example.org"), None)
    other = connected.listener_port(
        source(made, base="https://example.org", allow_private_network=True), None
    )
    assert (one.endpoint.allow_private_network, other.endpoint.allow_private_network) == (False, True)
    assert one is not other


def test_the_secret_is_read_when_it_is_used(connected, secrets):
    client = connected.listener_port(source(uuid4(), base="https://example.org"), None)
    assert client.endpoint.credential() == "s3cret"
    secrets.values["env:TOKEN"] = "renewed"
    assert client.endpoint.credential() == "renewed"


def test_connections_with_the_same_credential_at_the_same_host_share_a_budget(connected):
    one = connected.listener_port(source(uuid4(), base="https://example.org/a"), None)
    other = connected.candidate(
        {"name": "more", "type": "jira", "base": "https://example.org/b", "credential": "env:TOKEN"}
    )
    assert one.endpoint.budget.account == other.endpoint.budget.account == "jira example.org env:TOKEN"
    assert "s3cret" not in one.endpoint.budget.account


def test_a_provider_with_an_address_of_its_own_is_found_there(connected):
    assert connected.candidate({"name": "code", "type": "github"}).endpoint.base == "https://github.com"


def test_a_connection_of_another_kind_is_no_tracker_and_the_nearest_that_is_one_is_named(connected, database):
    store(database, "tickets", "jira", base="https://example.org")
    store(database, "ticket", "mail", base="imaps://example.org")
    with pytest.raises(NotFound, match="no connection 'ticket' to a ticket tracker; did you mean 'tickets'"):
        connected.tracker("ticket")
    with pytest.raises(NotFound, match="to a git host"):
        connected.code_host("tickets")


def test_a_kind_that_this_release_does_not_know_says_so(connected):
    with pytest.raises(NotFound, match="cannot read connections of type cvs"):
        connected.candidate({"name": "old", "type": "cvs"})


def test_every_provider_has_its_maker():
    assert sorted(MAKERS) == ["gitea", "github", "gitlab", "jira", "mail", "slack"]
