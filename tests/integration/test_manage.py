"""Managing definitions on a real database: applied as a whole or not at all, every change a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from dct_pipelines.domain.errors import (
    ItemTemporarilyUnreadable,
    ItemUnreadable,
    NotFound,
    NotPermitted,
)
from dct_pipelines.domain.manifest import ConnectionSpec, ItemSpec, Kind
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.words import TriggerStatus
from dct_pipelines.engine.manage import ApplyReport, Catalog, Manager, Verb, Wanted
from dct_pipelines.engine.manifests import Document, InvalidManifests
from dct_pipelines.engine.manifests.source import parse_text
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import triggers
from dct_pipelines.store.library import Library
from dct_pipelines.store.order import advance, current_generation, lock_order
from tests.fakes.ports import FakeClock, FakeSecrets

pytestmark = pytest.mark.integration

LIBRARY = """
kind: connection
name: local
type: git
---
kind: item
name: app
type: git_repository
connection: local
location: app.git
---
kind: suite
name: unit
command: [make, test]
---
kind: environment
name: qa
repository: app
branch: qa
deployer: {type: local, command: [./deploy]}
---
kind: draft
name: review
title: Look
repository: app
suites: [unit]
"""
TRIGGER = """
kind: trigger
name: ready
items: [app]
conditions:
  - {type: branch_ready, config: {branch: feature/*}}
actions:
  - type: merge_branches
    config: {repository: app, source: "{{ event.branch }}", target: qa}
"""


@dataclass
class Refreshed:
    problems: list[str] = field(default_factory=list)


@dataclass
class Outside:
    """What readings of items say; remembers what was read, and whether triggers existed then."""

    database: Database
    error: Exception | None = None
    read: list[tuple[list[UUID], int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def refresh(self, item_ids: Sequence[UUID]) -> Refreshed:
        with self.database.connect() as connection:
            self.read.append((list(item_ids), len(triggers.live(connection))))
        return Refreshed(self.problems)

    def probe(self, _connection: ConnectionSpec, _item: ItemSpec) -> str:
        if self.error is not None:
            raise self.error
        return "2 branches"


@dataclass
class Desk:
    """A manager on a fresh database."""

    database: Database
    clock: FakeClock
    outside: Outside
    manager: Manager
    catalog: Catalog

    def apply(self, text: str, by: str = "local", **options: Any) -> ApplyReport:
        documents, faults = parse_text(text, "team.yaml", Path("/srv"))
        assert faults == []
        dry_run = options.pop("dry_run", False)
        return self.manager.apply(Wanted(documents, by, **options), dry_run=dry_run)

    def rows(self, table: str) -> int:
        with self.database.connect() as connection:
            return connection.scalar(select(func.count()).select_from(getattr(tables, table))) or 0

    def versions(self, name: str = "ready") -> list[Any]:
        """(version, status, from_seq, to_seq), oldest first."""
        v, t = tables.trigger_versions, tables.dynamic_context_triggers
        statement = (
            select(v.c.version, v.c.status, v.c.from_seq, v.c.to_seq)
            .join(t, t.c.id == v.c.trigger_id)
            .where(t.c.name == name)
            .order_by(v.c.version)
        )
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def pass_events(self, count: int) -> None:
        with self.database.begin() as connection:
            lock_order(connection)
            advance(connection, seqs=count)


@pytest.fixture
def desk(database: Database) -> Desk:
    clock, outside = FakeClock(), Outside(database)
    manager = Manager(database, clock, outside.refresh, outside.probe)
    return Desk(database, clock, outside, manager, Catalog(database, outside.probe))


def verbs(report: ApplyReport) -> dict[str, Verb]:
    return {change.name: change.verb for change in report.changes}


def test_a_set_is_created_then_unchanged(desk: Desk):
    first = desk.apply(LIBRARY + "---" + TRIGGER)
    assert set(verbs(first).values()) == {Verb.CREATE}
    assert first.new_jobs == ("merge_branches",)
    second = desk.apply(LIBRARY + "---" + TRIGGER)
    assert set(verbs(second).values()) == {Verb.UNCHANGED}
    assert desk.versions() == [(1, "active", 1, None)]
    assert str(first) == "6 created"
    assert str(second) == "6 unchanged"


def test_users_tools_find_items_conditions_and_actions_in_their_tables(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    counted = {name: desk.rows(name) for name in ("trigger_items", "trigger_conditions", "trigger_actions")}
    assert set(counted.values()) == {1}
    assert desk.rows("shapes") == 1


def test_a_fault_anywhere_stores_nothing(desk: Desk):
    with pytest.raises(InvalidManifests):
        desk.apply(LIBRARY + "---" + TRIGGER.replace("name: ready", "name: ready\npriority: 11"))
    tables_used = ("connections", "context_library", "environments", "dynamic_context_triggers", "audit_log")
    assert {name: desk.rows(name) for name in tables_used} == dict.fromkeys(tables_used, 0)


def test_a_dry_run_says_what_would_change_and_stores_nothing(desk: Desk):
    report = desk.apply(LIBRARY + "---" + TRIGGER, dry_run=True)
    assert str(report) == "6 would be created"
    assert desk.rows("connections") == 0
    assert desk.outside.read == []


def test_items_are_read_before_their_trigger_exists(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    [(read, existing)] = desk.outside.read
    assert (len(read), existing) == (1, 0)


def test_each_change_is_a_version_in_force_from_its_place_in_the_order(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    desk.pass_events(10)
    desk.apply(TRIGGER.replace("name: ready", "name: ready\npriority: 7"))
    desk.pass_events(5)
    desk.manager.set_status(["ready"], TriggerStatus.PAUSED, "local", "a release is on")
    assert desk.versions() == [(1, "active", 1, 11), (2, "active", 11, 16), (3, "paused", 16, None)]


def test_every_change_makes_what_is_cached_of_triggers_stale(desk: Desk):
    def generation() -> int:
        with desk.database.connect() as connection:
            return current_generation(connection)

    seen = [generation()]
    for change in (
        lambda: desk.apply(LIBRARY + "---" + TRIGGER),
        lambda: desk.manager.set_status(["ready"], TriggerStatus.PAUSED, "local", ""),
        lambda: desk.manager.delete(["ready"], "local"),
    ):
        change()
        seen.append(generation())
    assert len(set(seen)) == 4
    assert seen == sorted(seen)
    desk.apply(LIBRARY)
    assert generation() == seen[-1]


def test_a_resumed_trigger_is_active_since_it_was_resumed_and_its_items_are_read_first(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    made = desk.catalog.triggers()[0].active_since
    desk.clock.advance(hours=1)
    desk.apply(TRIGGER.replace("name: ready", "name: ready\npriority: 7"))
    assert desk.catalog.triggers()[0].active_since == made
    desk.manager.set_status(["ready"], TriggerStatus.PAUSED, "local", "")
    desk.clock.advance(hours=1)
    before = len(desk.outside.read)
    assert desk.manager.set_status(["ready"], TriggerStatus.ACTIVE, "local", "") == ["ready"]
    assert desk.catalog.triggers()[0].active_since == desk.clock.now()
    assert len(desk.outside.read) == before + 1


def test_applying_again_leaves_a_pause_alone_unless_the_manifest_says_otherwise(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    desk.manager.set_status(["ready"], TriggerStatus.PAUSED, "local", "")
    assert verbs(desk.apply(TRIGGER)) == {"ready": Verb.UNCHANGED}
    desk.apply(TRIGGER + "status: active\n")
    assert desk.catalog.triggers()[0].status is TriggerStatus.ACTIVE


def test_pruning_deletes_what_the_same_set_made_before_and_nothing_else(desk: Desk):
    desk.apply(LIBRARY)
    for name, applied_set in (("old", "team"), ("theirs", "other"), ("ready", "team")):
        desk.apply(TRIGGER.replace("name: ready", f"name: {name}"), applied_set=applied_set)
    kept = desk.apply(TRIGGER, applied_set="team")
    assert verbs(kept) == {"ready": Verb.UNCHANGED}
    pruned = desk.apply(TRIGGER, applied_set="team", prune=True)
    assert verbs(pruned) == {"ready": Verb.UNCHANGED, "old": Verb.DELETE}
    assert [stored.name for stored in desk.catalog.triggers()] == ["ready", "theirs"]


def test_a_deleted_trigger_has_no_version_in_force_and_its_name_is_free(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    desk.pass_events(3)
    desk.manager.delete(["ready"], "local")
    assert desk.versions() == [(1, "active", 1, 4)]
    assert verbs(desk.apply(TRIGGER)) == {"ready": Verb.CREATE}


def test_an_item_that_is_not_there_is_a_fault_and_nothing_is_stored(desk: Desk):
    desk.outside.error = ItemUnreadable("there is no repository at /srv/app.git")
    with pytest.raises(InvalidManifests) as caught:
        desk.apply(LIBRARY + "---" + TRIGGER)
    assert "team.yaml:10: location: there is no repository at /srv/app.git" in str(caught.value)
    assert desk.rows("connections") == 0


def test_an_item_that_cannot_be_read_just_now_is_stored_with_a_warning(desk: Desk):
    desk.outside.error = ItemTemporarilyUnreadable("the host does not answer")
    desk.outside.problems = ["local: the host does not answer"]
    report = desk.apply(LIBRARY + "---" + TRIGGER)
    assert len(report.warnings) == 2
    assert desk.rows("dynamic_context_triggers") == 1


def test_an_item_that_moves_is_read_anew(desk: Desk):
    desk.apply(LIBRARY)
    item = desk.catalog.find(Kind.ITEM, "app")
    with desk.database.begin() as connection:
        connection.execute(
            tables.item_cursors.insert().values(
                item_id=item.id, connection_id=item.state["connection_id"], token={"digest": "x"}
            )
        )
    desk.apply(LIBRARY.replace("app.git", "moved/app.git"))
    assert desk.rows("item_cursors") == 0
    assert desk.catalog.find(Kind.ITEM, "app").spec["location"] == "/srv/moved/app.git"


def test_only_the_kind_that_was_asked_for_is_stored(desk: Desk):
    report = desk.apply(LIBRARY, only={Kind.CONNECTION})
    assert verbs(report) == {"local": Verb.CREATE}
    assert desk.rows("context_library") == 0


@pytest.mark.parametrize(
    ("role", "trigger_type", "allowed"),
    [
        (Role.DEVELOPER, "development", True),
        (Role.DEVELOPER, "testing", True),
        (Role.DEVELOPER, "deployment", False),
        (Role.TESTER, "testing", True),
        (Role.TESTER, "development", False),
        (Role.PRODUCT_MANAGER, "business", True),
        (Role.PRODUCT_MANAGER, "testing", False),
        (Role.OPERATOR, "deployment", True),
        (Role.ADMIN, "business", True),
    ],
)
def test_a_role_edits_the_types_of_triggers_that_are_its_own(
    desk: Desk, role: Role, trigger_type: str, allowed: bool
):
    desk.apply(LIBRARY)
    desk.catalog.save_user("someone", role, None, "local")
    text = TRIGGER.replace("name: ready", f"name: ready\ntype: {trigger_type}")
    if allowed:
        desk.apply(text, by="someone")
        assert desk.catalog.triggers()[0].created_by == "someone"
    else:
        with pytest.raises(NotPermitted, match="may edit triggers of type"):
            desk.apply(text, by="someone")
        assert desk.rows("dynamic_context_triggers") == 0


def test_a_developer_deploys_to_qa_only_and_defines_no_environment(desk: Desk):
    desk.apply(LIBRARY + "---" + LIBRARY.split("---")[3].replace("name: qa", "name: production"))
    desk.catalog.save_user("someone", Role.DEVELOPER, None, "local")
    deploy = "  - {type: deploy_environment, config: {environment: %s}}\n"
    desk.apply(TRIGGER + deploy % "qa", by="someone")
    with pytest.raises(NotPermitted, match="not to 'production'"):
        desk.apply(TRIGGER + deploy % "production", by="someone")
    with pytest.raises(NotPermitted, match="may not define a suite"):
        desk.apply(LIBRARY.replace("[make, test]", "[make, evil]"), by="someone")
    assert desk.apply(LIBRARY, by="someone").changed == ()


def test_somebody_unknown_may_do_nothing(desk: Desk):
    with pytest.raises(NotFound, match="there is no user 'nobody'"):
        desk.apply(LIBRARY, by="nobody")


def test_every_change_is_noted_with_who_and_what(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    desk.apply(TRIGGER.replace("name: ready", "name: ready\npriority: 7"))
    latest = desk.catalog.show(Kind.TRIGGER, "ready")["changes"][0]
    assert (latest["actor"], latest["verb"]) == ("local", "update")
    assert latest["detail"]["differences"] == [{"path": "priority", "before": 5, "after": 7}]


def test_what_is_exported_applies_as_unchanged(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    for kind in Kind:
        documents = [Document("exported", data) for data in desk.catalog.export(kind)]
        report = desk.manager.apply(Wanted(documents, "local"))
        assert set(verbs(report).values()) <= {Verb.UNCHANGED}, kind


def test_a_name_that_is_not_there_is_answered_with_the_nearest(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    with pytest.raises(NotFound, match="did you mean 'ready'"):
        desk.manager.delete(["redy"], "local")
    with pytest.raises(NotFound, match="did you mean 'app'"):
        desk.catalog.show(Kind.ITEM, "apps")


def test_checking_a_connection_looks_at_each_of_its_items(desk: Desk):
    desk.apply(LIBRARY)
    assert [(look.item, look.is_ok) for look in desk.catalog.check_connection("local")] == [("app", True)]
    desk.outside.error = ItemUnreadable("gone")
    assert [(look.is_ok, look.said) for look in desk.catalog.check_connection("local")] == [(False, "gone")]


def test_the_library_gives_actions_what_was_defined(desk: Desk):
    based = LIBRARY.replace("type: git\n", "type: git\nbase: https://example.org\ncredential: env:TOKEN\n", 1)
    desk.apply(based)
    library = Library(desk.database, FakeSecrets({"env:TOKEN": "s3cret"}))
    repository = library.repository("app")
    assert repository.ref.url == "https://example.org/app.git"
    assert repository.ref.credential is not None
    assert repository.ref.credential() == "s3cret"
    assert library.environment("qa").branch == "qa"
    assert library.suite("unit").command == ("make", "test")
    assert library.draft("review").suites == ("unit",)
    assert library.context_item("app")["kind"] == "git_repository"
    with pytest.raises(NotFound, match="did you mean 'qa'"):
        library.environment("qaa")
