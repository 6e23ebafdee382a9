"""Manifests of triggers: checked as a whole, and every fault says where it is and what was meant."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.words import Kind
from tests.support.manifests import BASE, NOTIFY, TRIGGER, checked, faults, only_fault


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
            "limits: {max_cost_usd: 1}",
            "limits.max_cost_usd: the key 'max_cost_usd' comes with a later release",
        ),
        ("limits: {coalesce: newest}", "limits.coalesce: 'newest' is not known here; did you mean 'latest'?"),
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
        (
            "repository: app",
            "repository: ap",
            "actions[0].config.repository: there is no item 'ap'; did you mean",
        ),
        ("[app]", "[app, apps]", "items[1]: there is no item 'apps'; did you mean 'app'?"),
        ("[app]", "[]", "items: should have at least 1 item, not 0"),
        ("[app]", "app", "team.yaml:14: items: should be a list, not 'app'"),
        ("{branch: feature/*}", "feature/*", "config: should be a mapping of keys to values"),
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


def test_a_list_is_not_called_too_short_when_a_fault_is_in_one_of_its_items():
    steps = (NOTIFY % "hello").replace("{channel: outbox}", "{channel: outbox, to: team}")
    assert "channels[0].to: should be a list, not 'team'" in only_fault(BASE + TRIGGER + steps)


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
