"""Managing definitions on a real database: applied as a whole or not at all, every change a version."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.errors import InvalidInput, ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.words import Kind, TriggerStatus
from dct_pipelines.engine.manage import Verb
from dct_pipelines.engine.manifests import InvalidManifests
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.order import current_generation
from tests.support.desk import LIBRARY, TRIGGER, Desk, desk_on, verbs

pytestmark = pytest.mark.integration
SECRETIVE = """
{kind: connection, name: hub, type: github, base: https://hub.example, credential: env:HUB_TOKEN}
---
{kind: channel, name: mail, type: smtp, host: mail.example, username: dct, password: file:/run/mail,
 sender: dct@mail.example, receivers: [ops@mail.example]}
---
{kind: channel, name: hook, type: webhook, url: https://hook.example, secret: env:HOOK}
---
{kind: suite, name: load, command: [make, load], secrets: {KEY: env:LOAD_KEY, OTHER: "command: vault read"}}
"""


@pytest.fixture
def desk(database: Database) -> Desk:
    return desk_on(database)


def test_a_set_is_created_then_unchanged(desk: Desk):
    first = desk.apply(LIBRARY + "---" + TRIGGER)
    assert set(verbs(first).values()) == {Verb.CREATE}
    assert first.new_jobs == ()
    second = desk.apply(LIBRARY + "---" + TRIGGER)
    assert set(verbs(second).values()) == {Verb.UNCHANGED}
    assert desk.versions() == [(1, "active", 1, None)]
    assert str(first) == "6 created"
    assert str(second) == "6 unchanged"


def test_only_a_job_that_is_not_built_in_has_to_be_loaded(desk: Desk):
    twice = TRIGGER + TRIGGER.partition("actions:\n")[2]
    assert desk.apply(LIBRARY + "---" + twice).new_jobs == ("merge_branches__merge_branches_2",)
    assert desk.apply(twice.replace("name: ready", "name: another")).new_jobs == ()


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


def test_a_set_without_any_trigger_prunes_nothing(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    with pytest.raises(InvalidInput, match="delete them by name"):
        desk.apply(LIBRARY, prune=True)
    assert len(desk.catalog.triggers()) == 1


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


def test_secrets_that_cannot_be_read_here_are_warned_of_once_and_stored_all_the_same(desk: Desk):
    desk.secrets.values["env:HOOK"] = "there"
    report = desk.apply(SECRETIVE)
    assert report.warnings == (
        "connection hub: its credential cannot be read here: env:HUB_TOKEN holds no secret; set it",
        "suite load: its secret KEY cannot be read here: env:LOAD_KEY holds no secret; set it",
        "channel mail: its password cannot be read here: file:/run/mail holds no secret; set it",
    )
    assert (desk.rows("channels"), desk.apply(SECRETIVE).warnings) == (2, ())


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
