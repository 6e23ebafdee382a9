"""Manifests with faults, through the command line: each told once with its place, and nothing stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from dct_pipelines.store.tables import metadata
from tests.support.command_line import *  # noqa: F403
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

GOOD = """kind: trigger
name: good
items: [shop]
conditions:
  - type: branch_ready
    config:
      branch: feature/*
      target_branch: qa
actions:
  - type: merge_branches
    config:
      repository: shop
      source: "{{ event.branch }}"
      target: qa
  - type: notify_users
    config:
      channels: [{channel: outbox}]
      subject: done
      text: "{{ steps.merge_branches.commit }}"
priority: 5
"""
FAULTS = {
    "unknown key": ("priority: 5", "priorty: 5", 20, "priorty", "did you mean 'priority'?"),
    "unknown key in a config": (
        "target_branch",
        "targt_branch",
        8,
        "conditions[0].config.targt_branch",
        "did you mean 'target_branch'?",
    ),
    "unknown condition": (
        "branch_ready",
        "branch_redy",
        5,
        "conditions[0].type",
        "did you mean 'branch_ready'?",
    ),
    "unknown action": ("notify_users", "notify_user", 15, "actions[1].type", "did you mean 'notify_users'?"),
    "unknown kind": ("kind: trigger", "kind: triger", 1, "kind", "did you mean 'trigger'?"),
    "bad template": (
        "{{ event.branch }}",
        "{{ event.brnch }}",
        13,
        "actions[0].config.source",
        "did you mean 'branch'?",
    ),
    "template that does not end": (
        "{{ event.branch }}",
        "{{ event.branch",
        13,
        "actions[0].config.source",
        "}}",
    ),
    "unknown filter": (
        "{{ event.branch }}",
        "{{ event.branch | slugg }}",
        13,
        "actions[0].config.source",
        "did you mean 'slug'?",
    ),
    "output of a later step": (
        "{{ event.branch }}",
        "{{ steps.notify_users.sent }}",
        13,
        "actions[0].config.source",
        "notify_users",
    ),
    "bad regex": (
        "branch_ready\n    config:\n      branch: feature/*\n      target_branch: qa",
        "string_match\n    config:\n      mode: regex\n      pattern: 'a(b'",
        8,
        "conditions[0].config.pattern",
        "missing )",
    ),
    "regex that is no RE2": (
        "branch_ready\n    config:\n      branch: feature/*\n      target_branch: qa",
        "string_match\n    config:\n      mode: regex\n      pattern: '(a)\\1'",
        8,
        "conditions[0].config.pattern",
        "escape",
    ),
    "bad glob": ("feature/*", "'fea ture'", 7, "conditions[0].config.branch", "no branch can have ' '"),
    "priority 11": ("priority: 5", "priority: 11", 20, "priority", "10"),
    "missing item": ("items: [shop]", "items: [shp]", 3, "items[0]", "did you mean 'shop'?"),
    "missing repository": (
        "repository: shop",
        "repository: shopp",
        12,
        "actions[0].config.repository",
        "did you mean 'shop'?",
    ),
    "missing channel": (
        "channel: outbox",
        "channel: outbx",
        17,
        "actions[1].config.channels[0].channel",
        "did you mean 'outbox'?",
    ),
    "no YAML": ("items: [shop]", "items: [shop", 4, "", "not YAML"),
    "the same key twice": ("priority: 5", "priority: 5\npriority: 6", 21, "", "duplicate key"),
    "a tag": ("items: [shop]", "items: !!python/object/apply:os.system [id]", 3, "", "tags have no meaning"),
    "no actions": (GOOD[GOOD.index("actions:") : GOOD.index("priority")], "actions: []\n", 9, "actions", ""),
}


@pytest.fixture
def watching(workshop: Workshop) -> Workshop:
    workshop.repository()
    workshop.watch("shop")
    (workshop.folder / "team").mkdir()
    return workshop


def stored(workshop: Workshop) -> dict[str, Any]:
    """The contents of every table."""
    with workshop.app.database.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in metadata.sorted_tables
        }


def test_the_good_manifest_is_good(watching: Workshop):
    (watching.folder / "team/good.yaml").write_text(GOOD)
    assert watching.dct("apply", "-f", "team").code == 0


@pytest.mark.parametrize(("good", "bad", "line", "path", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_told_once_with_its_place_and_nothing_is_stored(
    watching: Workshop, good: str, bad: str, line: int, path: str, words: str
):
    assert GOOD.count(good) == 1
    (watching.folder / "team/good.yaml").write_text(GOOD.replace("name: good", "name: other"))
    (watching.folder / "team/bad.yaml").write_text(GOOD.replace(good, bad))
    before = stored(watching)
    said = watching.dct("apply", "-f", "team")
    assert said.code == 2
    [fault, count] = said.err.removeprefix("dct: ").splitlines()
    assert count == "1 fault; nothing was stored"
    place = "team/bad.yaml" + (f":{line}" if line else "")
    assert fault.startswith(f"{place}: {path}: " if path else f"{place}: "), fault
    assert words in fault
    assert stored(watching) == before
    [told] = json.loads(watching.dct("apply", "-f", "team", "--json").err)["faults"]
    assert told["line"] == line


def test_a_condition_for_another_kind_of_item_is_told_with_those_that_fit(watching: Workshop):
    of_a_ticket = "status_change\n    config:\n      to_status: Done"
    fitting = "branch_ready\n    config:\n      branch: feature/*\n      target_branch: qa"
    manifest = GOOD.replace(fitting, of_a_ticket).replace("{{ event.branch }}", "topic")
    (watching.folder / "team/bad.yaml").write_text(manifest)
    before = stored(watching)
    said = watching.dct("apply", "-f", "team")
    assert said.code == 2
    assert said.err.startswith("dct: team/bad.yaml:5: conditions[0].type: status_change cannot look")
    assert "For a git_repository: branch_ready" in said.err
    assert "1 fault; nothing was stored" in said.err
    assert stored(watching) == before


def test_many_faults_are_told_all_at_once_in_order(watching: Workshop):
    bad = GOOD.replace("priority: 5", "priority: 11").replace("branch_ready", "branch_redy")
    (watching.folder / "team/a.yaml").write_text(bad)
    (watching.folder / "team/b.yaml").write_text(
        GOOD.replace("name: good", "name: other").replace("[shop]", "[nothing]")
    )
    before = stored(watching)
    said = watching.dct("apply", "-f", "team")
    assert said.code == 2
    lines = said.err.removeprefix("dct: ").splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "team/a.yaml:5",
        "team/a.yaml:20",
        "team/b.yaml:3",
        "3 faults; nothing was stored",
    ]
    assert stored(watching) == before


MISSING = """kind: item
name: other
type: git_repository
connection: lcal
location: shop.git
"""
RING = """kind: trigger
name: {name}
items: [shop]
conditions:
  - {{type: branch_ready, config: {{branch: {source}, target_branch: {target}}}}}
actions:
  - {{type: merge_branches, config: {{repository: shop, source: {source}, target: {target}}}}}
on_own_writes: true
---
"""


def test_a_missing_connection_is_told_with_the_nearest(watching: Workshop):
    (watching.folder / "team/item.yaml").write_text(MISSING)
    before = stored(watching)
    said = watching.dct("apply", "-f", "team")
    assert said.code == 2
    assert said.err.startswith("dct: team/item.yaml:4: connection: ")
    assert "did you mean 'local'?" in said.err
    assert stored(watching) == before


def test_triggers_that_would_start_each_other_for_ever_are_refused(watching: Workshop):
    ring = RING.format(name="up", source="main", target="qa") + RING.format(
        name="down", source="qa", target="main"
    )
    (watching.folder / "team/ring.yaml").write_text(ring)
    before = stored(watching)
    said = watching.dct("apply", "-f", "team")
    assert said.code == 2
    assert "team/ring.yaml" in said.err
    assert "up" in said.err
    assert "down" in said.err
    assert said.err.rstrip().endswith("nothing was stored")
    assert stored(watching) == before
