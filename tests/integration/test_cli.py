"""The command line on a real database and a real repository, as people and scripts use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from dct_pipelines.bootstrap import App, build
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct, loaded
from tests.support.repos import SampleRepository

pytestmark = pytest.mark.integration

UNTOLD = frozenset(
    "dagster alembic httpx ruamel psutil "
    "dct_pipelines.actions.run_tests dct_pipelines.listeners.git dct_pipelines.domain.manifest "
    "dct_pipelines.domain.ports dct_pipelines.engine.manage dct_pipelines.engine.manifests "
    "dct_pipelines.engine.decide dct_pipelines.engine.dispatch".split()
)
"""What other commands need, and takes longer to load than `dct status` to answer."""
TRIGGER = """
kind: trigger
name: ready
items: [app]
conditions:
  - {type: branch_ready, config: {branch: feature/*, target_branch: qa}}
actions:
  - type: merge_branches
    config: {repository: app, source: "{{ event.branch }}", target: qa}
"""


@pytest.fixture
def app() -> App:
    """The services of the project that `dct` works in; asked for after it."""
    return build(load_settings())


@pytest.fixture
def repository(tmp_path: Path) -> SampleRepository:
    """A repository with `main` and `qa`."""
    made = SampleRepository.create(tmp_path / "repositories/app.git")
    start = made.commit("main", {"README": "hello\n"})
    made.commit("qa", {"QA": "yes\n"}, parents=[start])
    return made


@pytest.fixture
def watching(dct: Dct, repository: SampleRepository, tmp_path: Path) -> Dct:
    """A project that watches the repository with one trigger."""
    assert dct("connection", "add", "local", "--base", "repositories").code == 0
    assert dct("item", "add", "app", "--location", "app.git", "--connection", "local").code == 0
    (tmp_path / "triggers").mkdir()
    (tmp_path / "triggers/ready.yaml").write_text(TRIGGER)
    assert dct("trigger", "apply", "-f", "triggers").code == 0
    return dct


def push(repository: SampleRepository, branch: str) -> None:
    """A branch with one commit more than `qa`."""
    head = repository.head("qa")
    assert head is not None
    repository.commit(branch, {"new": "text\n"}, parents=[head])


def test_a_connection_and_an_item_are_added_checked_and_listed(dct: Dct, repository: SampleRepository):
    added = dct("connection", "add", "local", "--json")
    assert [(one["name"], one["change"]) for one in added.data["changes"]] == [("local", "create")]
    dct("item", "add", "app", "--location", "repositories/app.git", "--connection", "local", "--tag", "main")
    [item] = dct("item", "list", "--json").data
    assert item["location"] == str(repository.path)
    checked = dct("connection", "check", "local", "--json").data
    assert [one["ok"] for one in checked["findings"]] == [True]
    [looked] = checked["items"]
    assert looked == {"item": "app", "ok": True, "said": "2 branches, 0 tags, default main"}
    assert "git_repository" in dct("item", "show", "app").out


def test_an_item_that_is_not_there_is_refused_before_it_is_stored(dct: Dct):
    dct("connection", "add", "local")
    said = dct("item", "add", "app", "--location", "missing.git", "--connection", "local")
    assert (said.code, dct("item", "list", "--json").data) == (2, [])
    assert "missing.git" in said.err


def test_triggers_are_applied_declaratively(watching: Dct, tmp_path: Path):
    assert "1 unchanged" in watching("trigger", "apply", "-f", "triggers").out
    (tmp_path / "triggers/ready.yaml").write_text(TRIGGER.replace("name: ready", "name: ready\npriority: 8"))
    dry = watching("trigger", "apply", "-f", "triggers", "--dry-run")
    assert "priority: 5 → 8" in dry.out
    assert "1 would be updated" in dry.out
    [stored] = watching("trigger", "list", "--json").data
    assert (stored["priority"], stored["version"]) == (5, 1)
    watching("trigger", "apply", "-f", "triggers")
    (tmp_path / "triggers/ready.yaml").write_text(TRIGGER.replace("name: ready", "name: other"))
    pruned = watching("trigger", "apply", "-f", "triggers", "--prune", "--json").data
    assert {one["name"]: one["change"] for one in pruned["changes"]} == {"other": "create", "ready": "delete"}


def test_every_fault_of_a_folder_is_told_at_once_with_exit_code_2(watching: Dct, tmp_path: Path):
    wrong = TRIGGER.replace("name: ready", "name: wrong\npriority: 11").replace("branch_ready", "branch_redy")
    (tmp_path / "triggers/wrong.yaml").write_text(wrong)
    said = watching("trigger", "apply", "-f", "triggers")
    assert said.code == 2
    assert "triggers/wrong.yaml:4: priority: should be less than or equal to 10, not 11" in said.err
    assert "did you mean 'branch_ready'?" in said.err
    assert "2 faults; nothing was stored" in said.err
    assert [one["name"] for one in watching("trigger", "list", "--json").data] == ["ready"]


def test_what_is_exported_can_be_applied_again(watching: Dct, tmp_path: Path):
    (tmp_path / "exported.yaml").write_text(watching("trigger", "export", "ready").out)
    assert "1 unchanged" in watching("trigger", "apply", "-f", "exported.yaml").out


def test_a_trigger_is_paused_resumed_and_deleted(watching: Dct):
    assert watching("trigger", "pause", "ready", "--reason", "release").out == "ready is paused\n"
    assert watching("trigger", "pause", "ready").out == "ready is paused already\n"
    assert "release" in watching("trigger", "show", "ready").out
    assert watching("trigger", "resume", "ready", "--json").data == {"status": "active", "changed": ["ready"]}
    assert watching("trigger", "list", "--status", "paused", "--json").data == []
    assert watching("trigger", "delete", "ready", "--yes").out == "deleted ready\n"
    said = watching("trigger", "show", "ready")
    assert (said.code, "there is no trigger 'ready'" in said.err) == (2, True)


def test_a_role_that_does_not_allow_it_is_exit_code_3(watching: Dct):
    assert watching("user", "add", "lead", "--role", "tester").code == 0
    said = watching("trigger", "pause", "ready", "--as", "lead")
    assert (said.code, "may edit triggers of type testing" in said.err) == (3, True)
    assert watching("trigger", "pause", "ready", "--as", "grac").code == 2
    assert watching("connection", "add", "mine", "--as", "lead").code == 3


def test_a_push_is_read_decided_listed_and_explained(watching: Dct, app: App, repository: SampleRepository):
    push(repository, "feature/x")
    app.listening.tick("git")
    [execution] = watching("execution", "list", "--json").data
    assert (execution["trigger"], execution["status"]) == ("ready", "waiting")
    short = execution["id"][:8]
    shown = watching("execution", "show", short).out
    assert "merge_branches" in shown
    story = watching("explain", "ready").out
    assert "Trigger ready (version 1) fired" in story
    assert "feature/x" in story
    assert "fired" in watching("explain", short).out
    assert watching("explain", "app", "--subject", "feature/x", "--json").data["events"]
    assert watching("execution", "cancel", short).out == f"execution {short} is cancelled\n"
    assert watching("execution", "retry", short).code == 0
    assert watching("execution", "retry", short).code == 1


def test_a_push_that_matches_nothing_is_explained_with_the_condition_that_said_no(
    watching: Dct, app: App, repository: SampleRepository
):
    push(repository, "hotfix/x")
    app.listening.tick("git")
    story = watching("explain", "item:app").out
    assert "did not fire" in story
    assert watching("execution", "list", "--json").data == []


def test_when_nothing_happened_explain_says_how_the_source_is_read(watching: Dct):
    story = watching("explain", "ready").out
    assert "no event of it was ever seen" in story
    assert "There was no event to decide about" in story


def test_a_name_that_nobody_has_is_answered_with_the_nearest(watching: Dct):
    said = watching("explain", "redy")
    assert (said.code, "did you mean 'ready'" in said.err) == (2, True)


def test_executions_are_listed_by_trigger_and_state_and_a_wrong_name_is_answered_with_the_nearest(
    watching: Dct, app: App, repository: SampleRepository
):
    assert "nothing was carried out yet" in watching("execution", "list").out
    push(repository, "feature/x")
    app.listening.tick("git")
    assert len(watching("execution", "list", "--trigger", "ready", "--json").data) == 1
    assert watching("execution", "list", "--status", "failed").out == "no execution is like that\n"
    said = watching("execution", "list", "--trigger", "raedy")
    assert (said.code, "did you mean 'ready'?" in said.err) == (2, True)
    watching("trigger", "delete", "ready", "--yes")
    assert len(watching("execution", "list", "--trigger", "ready", "--json").data) == 1


def test_a_simulation_says_what_would_have_fired_and_writes_nothing(
    watching: Dct, app: App, repository: SampleRepository, tmp_path: Path
):
    push(repository, "feature/x")
    app.listening.tick("git")
    (tmp_path / "new.yaml").write_text(TRIGGER.replace("name: ready", "name: new"))
    [answer] = watching("trigger", "simulate", "-f", "new.yaml", "--days", "1", "--json").data
    assert [one["ruling"]["outcome"] for one in answer["decisions"]] == ["fired"]
    assert "1 fired" in watching("trigger", "simulate", "ready").out
    assert len(watching("execution", "list", "--json").data) == 1
    assert [one["name"] for one in watching("trigger", "list", "--json").data] == ["ready"]


def test_status_tells_sources_queue_and_isolation(watching: Dct):
    found = watching("status", "--json").data
    assert [one["item"] for one in found["sources"]] == ["app"]
    assert found["waiting"] == []
    assert "isolation of commands" in watching("status").out


def test_status_loads_of_the_plugins_only_the_conditions_of_triggers(watching: Dct):
    modules = loaded("status")
    assert not modules & UNTOLD
    assert "dct_pipelines.conditions.branch_ready" in modules
    watching("trigger", "delete", "ready", "--yes")
    assert not [name for name in loaded("status") if name.startswith("dct_pipelines.conditions.")]


def test_status_names_a_trigger_that_this_release_cannot_read(watching: Dct, app: App):
    with app.database.begin() as connection:
        spec = tables.trigger_versions.c.spec
        connection.execute(update(tables.trigger_versions).values(spec=spec + {"moon_phase": "full"}))
    told = watching("status", "--json")
    assert told.code == 1
    assert told.data["broken_triggers"].keys() == {"ready"}
    assert "moon_phase" in told.data["problems"][0]


def test_the_tables_are_verified_and_optimized(dct: Dct):
    assert dct("db", "verify").out == "the tables are those of this release\n"
    assert dct("db", "migrate", "--json").data == {"applied": []}
    assert dct("db", "optimize").code == 0
    assert dct("db", "stop", "--json").data == {"stopped": False}


def test_a_database_that_was_never_migrated_asks_for_it(
    dct: Dct, postgres: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DCT_DATABASE_URL", postgres.ensure())
    said = dct("trigger", "list")
    assert (said.code, "run `dct db migrate`" in said.err) == (4, True)
