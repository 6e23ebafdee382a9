"""Rehearsals: the real actions over ports that write nothing, about a real event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.engine.manage import Wanted
from dct_pipelines.engine.manifests import read_documents
from dct_pipelines.settings import Settings
from dct_pipelines.store import tables
from tests.support.repos import SampleRepository
from tests.support.world import READY, World

LIBRARY = """
kind: connection
name: here
type: git
---
kind: item
name: sample
type: git_repository
connection: here
location: {location}
"""
MERGE = {
    "type": "merge_branches",
    "config": {"repository": "sample", "source": "{{ event.branch }}", "target": "qa"},
}
TELL = {
    "type": "notify_users",
    "config": {
        "channels": [{"channel": "outbox", "to": ["testers"]}],
        "subject": "{{ event.branch }} as {{ steps.merge_branches.commit | short }}",
        "text": "it is on qa",
    },
}


@pytest.fixture
def repository(tmp_path: Path) -> SampleRepository:
    made = SampleRepository.create(tmp_path / "sample.git")
    base = made.commit("main", {"app.txt": "one\n"})
    made.branch("qa", base)
    return made


@pytest.fixture
def app(database_settings: Settings, repository: SampleRepository, tmp_path: Path) -> App:
    made = build(database_settings).ready()
    path = tmp_path / "library.yaml"
    path.write_text(LIBRARY.format(location=repository.path))
    documents, _ = read_documents([path])
    made.manager.apply(Wanted(documents, by="local"))
    return made


def spec(*actions: dict[str, Any]) -> TriggerSpec:
    return TriggerSpec.model_validate(
        {"name": "to-qa", "items": ["sample"], "conditions": [READY], "actions": list(actions)}
    )


def pushed(app: App, repository: SampleRepository, content: str) -> None:
    """A feature branch that a saved trigger has assessed."""
    with app.database.connect() as connection:
        item = connection.execute(tables.context_library.select()).one()
    world = World.of(app.database, item.connection_id, item.id)
    world.trigger("saved")
    with app.listening.recorded([item.id]):
        pass
    repository.commit("feature/x", {"app.txt": content}, parents=[_head(repository, "main")])
    with app.listening.recorded([item.id]) as seen:
        assert seen.problems == []


def _head(repository: SampleRepository, branch: str) -> Any:
    head = repository.head(branch)
    assert head is not None
    return head


def test_every_action_says_what_it_would_do_and_nothing_moves(
    app: App, repository: SampleRepository, database_settings: Settings
) -> None:
    pushed(app, repository, "two\n")
    before = repository.head("qa")
    found = app.rehearser.rehearse(spec(MERGE, TELL))
    assert found.succeeds
    merge, tell = found.steps
    assert merge.would is not None
    assert merge.would.startswith(f"would move refs/heads/qa from {str(before)[:8]} to ")
    assert f"'feature/x as {merge.outputs['commit'][:8]}'" in str(tell.would)
    assert repository.head("qa") == before
    assert not (database_settings.home / "outbox").exists()


def test_a_conflict_now_is_told_as_it_would_fail_then_and_later_actions_are_left_out(
    app: App, repository: SampleRepository
) -> None:
    pushed(app, repository, "two\n")
    repository.commit("qa", {"app.txt": "three\n"})
    found = app.rehearser.rehearse(spec(MERGE, TELL))
    assert not found.succeeds
    [merge] = found.steps
    assert "conflicts in app.txt" in str(merge.error)


def test_without_an_event_that_would_fire_it_says_how_to_name_one(app: App) -> None:
    with pytest.raises(InvalidInput, match="name one with --event"):
        app.rehearser.rehearse(spec(MERGE))
