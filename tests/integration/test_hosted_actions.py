"""Actions at a git host as a deployment has them: definitions in a database, the real client, and git."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.hosting.hosted import host_of
from dct_pipelines.settings import Settings
from dct_pipelines.store import tables
from tests.fakes.github_server import TOKEN, GitHubServer, github_server
from tests.fakes.github_world import GitHubWorld
from tests.fakes.ports import FakeClock

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    world = GitHubWorld(FakeClock())
    world.push("main", {"a.txt": "1"})
    with github_server(world) as served:
        yield served


@pytest.fixture
def app(database_settings: Settings, server: GitHubServer, tmp_path: Path) -> App:
    made = build(database_settings).ready()
    (tmp_path / "token").write_text(TOKEN)
    with made.database.begin() as connection:
        hub = connection.execute(
            insert(tables.connections)
            .values(
                name="hub",
                kind="github",
                credential_ref=f"file:{tmp_path / 'token'}",
                config={"base": server.url, "allow_private_network": True},
                created_by="local",
            )
            .returning(tables.connections.c.id)
        ).scalar_one()
        connection.execute(
            insert(tables.context_library).values(
                name="shop",
                kind="git_repository",
                connection_id=hub,
                location=f"{server.url}/acme/shop.git",
                created_by="local",
            )
        )
    return made


def test_an_item_at_a_host_is_found_there_by_its_name(app: App) -> None:
    hosted = host_of(app.library, app.connected, "shop")
    assert hosted is not None
    assert (hosted.kind, hosted.repository) == ("github", "acme/shop")
    assert hosted.host.find_open_request("acme/shop", "feature/x", "main") is None


def test_actions_reach_its_repository_by_git_as_its_listener_does(app: App, server: GitHubServer) -> None:
    """By what the client makes of the credential: that of an app is a key which must not be sent."""
    ref = app.library.repository("shop").ref
    assert ref.url == f"{server.url}/acme/shop"
    assert ref.credential is not None
    assert ref.credential() == TOKEN


def test_the_path_below_which_a_host_lies_is_known_and_mostly_empty(app: App) -> None:
    assert app.library.connection_root("hub") == ""
    below = {"kind": "gitlab", "created_by": "local"}
    with app.database.begin() as connection:
        for name, config in (("lab", {"base": "https://example.org/git/"}), ("plain", {})):
            connection.execute(insert(tables.connections).values(name=name, config=config, **below))
    assert [app.library.connection_root(name) for name in ("lab", "plain")] == ["/git", ""]
