"""Manifests: what people write is checked as a whole, and every fault says where it is and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.manifest import FORMS, Kind
from dct_pipelines.engine.manifests import Fault, InvalidManifests, World, check, read_documents
from dct_pipelines.engine.manifests.check import Checked
from dct_pipelines.engine.manifests.models import models_in
from dct_pipelines.engine.manifests.source import parse_text

BASE = """
kind: connection
name: local
type: git
---
kind: item
name: app
type: git_repository
connection: local
location: repositories/app.git
---
kind: trigger
name: ready
"""
TRIGGER = """items: [app]
conditions:
  - type: branch_ready
    config: {branch: feature/*}
actions:
  - type: merge_branches
    config: {repository: app, source: "{{ event.branch }}", target: qa}
"""
NOTIFY = """  - type: notify_users
    config: {channels: [{channel: outbox}], subject: hello, text: "%s"}
"""


def checked(text: str, stored: World | None = None) -> Checked:
    documents, faults = parse_text(text, "team.yaml", Path("/srv/manifests"))
    assert faults == []
    return check(documents, stored or World({}))


def faults(text: str, stored: World | None = None) -> list[Fault]:
    with pytest.raises(InvalidManifests) as caught:
        checked(text, stored)
    return list(caught.value.faults)


def only_fault(text: str, stored: World | None = None) -> str:
    found = faults(text, stored)
    assert len(found) == 1, "\n".join(map(str, found))
    return str(found[0])


def test_a_whole_set_is_understood_in_the_order_of_its_dependence():
    kinds = [manifest.kind for manifest in checked(BASE + TRIGGER).manifests]
    assert kinds == [Kind.CONNECTION, Kind.ITEM, Kind.TRIGGER]


def test_a_relative_location_is_relative_to_the_manifests_folder():
    item = checked(BASE + TRIGGER).world.find(Kind.ITEM, "app")
    assert item.location == "/srv/manifests/repositories/app.git"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("priority: 11", "team.yaml:14: priority: should be less than or equal to 10, not 11"),
        ("prioritty: 3", "team.yaml:14: prioritty: unknown key 'prioritty'; did you mean 'priority'?"),
        (
            "type: developmen",
            "team.yaml:14: type: 'developmen' is not known here; did you mean 'development'?",
        ),
        ("match: al", "did you mean 'all'?"),
        ("on_own_writes: [1]", "team.yaml:14: on_own_writes: should be a valid boolean"),
        ("limits: {max_concurent_executions: 2}", "did you mean 'max_concurrent_executions'?"),
        (
            "limits: {debounce_ms: 100}",
            "limits.debounce_ms: the key 'debounce_ms' comes with a later release",
        ),
        (
            "deliverables: [merge_branches.comit]",
            "deliverables[0]: merge_branches has no output 'comit'; did you",
        ),
        (
            "deliverables: [merge.commit]",
            "deliverables[0]: there is no step 'merge'; did you mean 'merge_branches'",
        ),
        ("deliverables: [commit]", "deliverables[0]: 'commit' is not of the form <step>.<output>"),
        ("status: error", "status: 'error' is not known here"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line_and_the_nearest_valid_one(wrong: str, said: str):
    assert said in only_fault(f"{BASE}{wrong}\n{TRIGGER}")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "branch_ready",
            "branch_redy",
            "conditions[0].type: there is no condition 'branch_redy'; did you mean 'b",
        ),
        ("branch_ready", "status_change", "status_change cannot look at 'app', which is a git_repository"),
        (
            "{branch: feature/*}",
            "{brnch: x, branch: y}",
            "conditions[0].config.brnch: unknown key 'brnch'; did",
        ),
        (
            "{branch: feature/*}",
            "{}",
            "team.yaml:17: conditions[0].config.branch: 'branch' is missing; add it",
        ),
        (
            "merge_branches",
            "merge_branch",
            "actions[0].type: there is no action 'merge_branch'; did you mean",
        ),
        ("merge_branches", "update_ticket", "actions[0].type: the action 'update_ticket' comes with a later"),
        ("merge_branches", "create_pull_request", "'create_pull_request' comes with a later release"),
        (
            "repository: app",
            "repository: ap",
            "actions[0].config.repository: there is no item 'ap'; did you mean",
        ),
        ("[app]", "[app, apps]", "items[1]: there is no item 'apps'; did you mean 'app'?"),
        ("[app]", "[]", "items: Tuple should have at least 1 item"),
        ("event.branch", "event.brnch", "actions[0].config.source: 'event.brnch' is not known here"),
        ("{{ event.branch }}", "{{ event.branch", "actions[0].config.source: at character"),
        ("{{ event.branch }}", "{{ steps.later.x }}", "'steps.later.x' is not known here"),
    ],
)
def test_a_fault_of_a_condition_or_action_is_named_with_its_place(before: str, after: str, said: str):
    found = "\n".join(map(str, faults(BASE + TRIGGER.replace(before, after))))
    assert said in found


def test_a_regular_expression_that_cannot_be_used_is_a_fault_of_the_pattern():
    condition = "  - {type: string_match, config: {pattern: '(', mode: regex}}\n"
    said = only_fault(BASE + TRIGGER.replace("actions:", condition + "actions:"))
    assert said.startswith("team.yaml:18: conditions[1].config.pattern: pattern is not a regular expression")


def test_an_action_may_use_outputs_of_the_actions_before_it_and_of_no_other():
    good = NOTIFY % "{{ steps.merge_branches.commit | short }}"
    assert checked(BASE + TRIGGER + good).manifests
    bad = NOTIFY % "{{ steps.notify_users.sent }}"
    assert "steps.notify_users.sent" in only_fault(BASE + TRIGGER + bad)


def test_every_fault_is_reported_at_once_and_in_the_order_of_the_text():
    text = (
        BASE
        + "priority: 11\n"
        + TRIGGER.replace("repository: app", "repository: ap").replace("qa}", "qa, x: 1}")
    )
    lines = [fault.line for fault in faults(text)]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_a_name_that_two_manifests_define_is_a_fault_that_names_both_places():
    twice = BASE + TRIGGER + "---" + BASE.split("---", maxsplit=1)[0]
    assert only_fault(twice) == (
        "team.yaml:23: name: the connection 'local' is defined at team.yaml:3 already; remove one"
    )


def test_a_kind_that_is_not_there_is_a_fault_with_the_nearest_one():
    assert "did you mean 'trigger'?" in only_fault("kind: triger\nname: x\n")
    assert "'kind' is missing" in only_fault("name: x\n")
    assert "a manifest is a mapping" in only_fault("- kind: trigger\n")


def test_a_missing_connection_is_named():
    said = only_fault(BASE.replace("connection: local", "connection: lokal") + TRIGGER)
    assert (
        said
        == "team.yaml:9: connection: there is no connection 'lokal'; did you mean 'local'? (known: local)"
    )


def test_two_steps_of_one_name_are_refused():
    again = TRIGGER.split("actions:\n")[1].replace("- type: merge_branches", "- {type: merge_branches")
    again = again.replace("    config:", "    config:").replace(
        "merge_branches\n", "merge_branches, name: x,\n"
    )
    twice = BASE + TRIGGER.replace("- type: merge", "- name: x\n    type: merge") + again.rstrip() + "}\n"
    assert [manifest.name for manifest in checked(twice).manifests][-1] == "ready"
    step_names = checked(twice).world.find(Kind.TRIGGER, "ready").step_names
    assert step_names == ("x", "x_2")
    clash = twice.replace("- name: x\n", "- name: x_2\n").replace(", name: x,", ", name: x_2,")
    clash = clash.replace("name: x_2,", "name: x,") + NOTIFY.replace("- type", "- name: x\n    type") % "t"
    assert "the name 'x_2' is taken by actions[0]" in only_fault(clash)


CIRCLE = """
kind: trigger
name: {name}
items: [app]
on_own_writes: {own}
conditions: [{{type: branch_ready, config: {{branch: {watches}}}}}]
actions: [{{type: merge_branches, config: {{repository: app, source: main, target: {moves}}}}}]
---
"""


def circle(*triggers: tuple[str, str, str, str]) -> str:
    parts = (CIRCLE.format(name=n, own=own, watches=w, moves=m) for n, own, w, m in triggers)
    return BASE.split("---\nkind: trigger", maxsplit=1)[0] + "---" + "".join(parts)


def test_triggers_that_fire_each_other_by_what_they_write_are_a_cycle():
    found = faults(circle(("a", "true", "qa", "staging"), ("b", "true", "staging", "qa")))
    assert [fault.path for fault in found] == [("on_own_writes",), ("on_own_writes",)]
    assert "a → b → a" in found[0].message


def test_a_trigger_that_fires_itself_by_what_it_writes_is_a_cycle():
    assert "a → a" in only_fault(circle(("a", "true", "'*'", "qa")))


def test_a_chain_of_triggers_that_ends_is_not_a_cycle():
    assert checked(circle(("a", "true", "qa", "staging"), ("b", "true", "staging", "production"))).manifests


def test_triggers_that_ignore_our_own_writes_cannot_be_a_cycle():
    assert checked(circle(("a", "false", "qa", "staging"), ("b", "true", "staging", "qa"))).manifests


@given(st.permutations(range(5)))
def test_a_ring_of_any_order_is_found_and_every_proper_part_of_it_is_not(order: list[int]):
    ring = [(f"t{i}", "true", f"b{i}", f"b{(i + 1) % 5}") for i in order]
    assert len(faults(circle(*ring))) == 5
    assert checked(circle(*ring[:-1])).manifests


def test_a_secret_is_never_taken_into_a_location_nor_shown():
    text = BASE.replace("repositories/app.git", "https://me:hunter2@example.org/app.git") + TRIGGER
    said = only_fault(text)
    assert "there is a secret in the URL" in said
    assert "hunter2" not in said
    written = BASE.replace(
        "type: git\n", "type: git\nbase: https://example.org/team\ncredential: hunter2\n", 1
    )
    assert "hunter2" not in only_fault(written.replace("repositories/app.git", "app.git") + TRIGGER)


def test_a_credential_is_only_sent_below_the_base_of_its_connection():
    without = BASE.replace("type: git\n", "type: git\ncredential: env:TOKEN\n", 1) + TRIGGER
    assert "add `base`" in only_fault(without)
    based = without.replace("credential:", "base: https://example.org/team\ncredential:")
    inside = checked(based.replace("repositories/app.git", "app.git"))
    assert inside.world.find(Kind.ITEM, "app").location == "https://example.org/team/app.git"
    for outside in ("https://evil.example/app.git", "../app.git", "https://example.org/teammate/app.git"):
        assert "is not below" in only_fault(based.replace("repositories/app.git", outside))


def test_a_connection_that_comes_with_a_later_release_says_so():
    assert "comes with a later release" in only_fault("kind: connection\nname: tickets\ntype: jira\n")
    assert "did you mean 'git'" in only_fault("kind: connection\nname: code\ntype: gti\n")


def test_what_is_not_yaml_is_a_fault_with_its_line():
    documents, wrong = parse_text("kind: trigger\nname: [a\n---\n", "broken.yaml", Path())
    assert (documents, wrong[0].file) == ([], "broken.yaml")
    assert wrong[0].line in (2, 3)
    assert "not YAML" in wrong[0].message


def test_a_key_that_is_there_twice_is_a_fault():
    _, wrong = parse_text("kind: trigger\nname: a\nname: b\n", "twice.yaml", Path())
    assert wrong[0].line == 3


def test_aliases_of_aliases_cannot_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    _, wrong = parse_text("\n".join(lines), "bomb.yaml", Path())
    assert "split the file" in wrong[0].message


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_but_never_breaks_the_reader(text: str):
    documents, wrong = parse_text(text, "any.yaml", Path())
    if not wrong and documents:
        with pytest.raises(InvalidManifests):
            check(documents, World({}))


def test_folders_are_read_deeply_in_the_order_of_names(tmp_path: Path):
    (tmp_path / "b").mkdir()
    for name in ("z.yaml", "b/a.yml", "notes.txt"):
        (tmp_path / name).write_text(f"kind: item\nname: {name[0]}\n")
    documents, wrong = read_documents([tmp_path])
    assert wrong == []
    assert [document.data["name"] for document in documents] == ["b", "z"]


def test_a_folder_without_manifests_and_a_file_that_is_not_there_are_faults(tmp_path: Path):
    _, wrong = read_documents([tmp_path, tmp_path / "missing.yaml"])
    assert [fault.message.split(";")[0] for fault in wrong] == [
        "there are no *.yaml or *.yml files in it",
        "there is no such file",
    ]


def test_manifests_of_other_kinds_are_left_alone_but_explained_when_referred_to():
    documents, _ = parse_text(BASE + TRIGGER, "team.yaml", Path("/srv"))
    with pytest.raises(InvalidManifests) as caught:
        check(documents, World({}), only={Kind.TRIGGER})
    assert "the item 'app' of team.yaml is not stored; apply it first" in str(caught.value)


def test_an_environment_needs_a_repository_a_branch_that_can_exist_and_one_way_to_tell_its_health():
    text = (
        BASE.split("---\nkind: trigger", maxsplit=1)[0]
        + """---
kind: environment
name: qa
repository: app
branch: "q a"
deployer: {type: local, command: [./deploy], comand: x}
health_check: {attempts: 3}
"""
    )
    said = "\n".join(map(str, faults(text)))
    assert "deployer.comand: unknown key 'comand'; did you mean 'command'?" in said
    good = text.replace(", comand: x", "")
    said = "\n".join(map(str, faults(good)))
    assert "branch: 'refs/heads/q a' is not a valid reference name" in said
    assert "health_check: it needs a url or a command" in said


def test_a_deployer_that_does_not_exist_is_named_with_those_that_do():
    text = (
        BASE.split("---\nkind: trigger", maxsplit=1)[0]
        + """---
kind: environment
name: qa
repository: app
branch: qa
deployer: {type: webhok, url: http://127.0.0.1}
"""
    )
    assert "deployer: type 'webhok' is not known here; did you mean 'webhook'?" in only_fault(text)


def test_a_draft_checks_its_templates_and_its_suites():
    text = (
        BASE.split("---\nkind: trigger", maxsplit=1)[0]
        + """---
kind: draft
name: review
title: "Look at {{ event.branch }}"
repository: app
suites: [unit]
branch: "ws/{{ workspace.shrt_id }}"
"""
    )
    found = "\n".join(map(str, faults(text)))
    assert "suites[0]: there is no suite 'unit'" in found
    assert "branch: 'workspace.shrt_id' is not known here" in found


def test_the_reference_describes_every_kind_and_every_key():
    page = Path(__file__).parents[2].joinpath("docs/reference/manifests.md").read_text(encoding="utf-8")
    sections = {part.split("`")[0]: part for part in page.split("\n## `")[1:]}
    assert set(sections) == {kind.value for kind in Kind}
    missing = [
        f"{kind}: {key}"
        for kind in Kind
        for model in models_in(FORMS[kind])
        for key in model.model_fields
        if f"`{key}`" not in sections[kind.value] and f"`{key}`" not in sections["environment"]
    ]
    assert not missing, missing
