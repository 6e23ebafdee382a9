"""The git listener: what of branches, tags and checks becomes an event, and what a quiet tick costs."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.payloads import BranchAssessed, BranchCreated, CheckReported, ForcePushed, HeadMoved
from dct_pipelines.domain.words import CheckState
from tests.support.facts import ITEM
from tests.support.git_reading import TO_MAIN, GitDesk, assessments, begun, kinds


@pytest.fixture
def desk() -> GitDesk:
    return begun()


def test_the_first_read_takes_the_repository_as_it_is():
    desk = GitDesk(asks=(TO_MAIN,))
    head = desk.repository.commit("main", {"a.txt": "1"})
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[head])
    desk.repository.tag("v1", head)
    desk.report(head, "unit", CheckState.SUCCESS)
    assert desk.tick() == []
    assert sorted(desk.snapshots.states(ITEM)) == ["refs/heads/feature/x", "refs/heads/main", "refs/tags/v1"]
    assert desk.state("main").is_default
    assert desk.state("main").checks == {"unit": CheckState.SUCCESS}


def test_a_tick_without_change_is_one_call_and_loads_nothing(desk: GitDesk):
    calls, reads = len(desk.git.calls), desk.snapshots.reads
    [page] = desk.pages()
    assert page.is_unchanged
    assert page.token == desk.token
    assert desk.git.calls[calls:] == ["list_refs"]
    assert desk.snapshots.reads == reads


def test_a_new_branch_is_an_event_with_its_commits_and_is_compared_once(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"b.txt": "1"}, "Add b\n\nFor the till", parents=[base])
    created, assessed = (event.payload for event in desk.tick())
    assert isinstance(created, BranchCreated)
    assert [commit.message for commit in created.commits] == ["Add b\n\nFor the till"]
    assert created.commits[0].author.name == "Sample"
    assert isinstance(assessed, BranchAssessed)
    assert (assessed.target, assessed.is_default_target) == ("main", True)
    assert (assessed.ahead, assessed.merges_cleanly) == (1, True)
    assert desk.tick() == []


def test_a_branch_that_nobody_asks_about_is_not_compared(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.branch("topic", base)
    assert kinds(desk.tick()) == [("branch_created", "heads/topic")]


def test_forward_forced_and_deleted_are_told_apart(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    old = desk.repository.commit("topic", {"b.txt": "1"}, "One", parents=[base])
    desk.tick()
    new = desk.repository.commit("topic", {"b.txt": "2"}, "Two")
    [moved] = desk.tick()
    assert isinstance(moved.payload, HeadMoved)
    assert (moved.payload.before, moved.payload.head) == (old, new)
    assert [commit.message for commit in moved.payload.commits] == ["Two"]
    assert moved.external_ids == (new,)
    desk.repository.commit("topic", {"c.txt": "1"}, "Other", parents=[base])
    [forced] = desk.tick()
    assert isinstance(forced.payload, ForcePushed)
    assert [commit.message for commit in forced.payload.commits] == ["Other"]
    desk.repository.delete_branch("topic")
    assert kinds(desk.tick()) == [("branch_deleted", "heads/topic")]
    assert "refs/heads/topic" not in desk.snapshots.states(ITEM)


def test_there_and_back_again_gives_four_different_events(desk: GitDesk):
    first = desk.repository.head("main")
    assert first
    second = desk.repository.commit("main", {"a.txt": "2"})
    desk.tick()
    for head in (first, second, first):
        desk.repository.branch("main", head)
        desk.tick()
    keys = [event.dedup_key for event in desk.events]
    assert len(set(keys)) == len(keys) == 4


def test_a_read_that_was_not_stored_gives_the_same_events_again(desk: GitDesk):
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[])
    assert [page.events for page in desk.pages()] == [page.events for page in desk.pages()]


def test_tags_that_appear_or_move_are_events_and_tags_that_go_are_forgotten(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.tag("v1", base)
    [created] = desk.tick()
    assert created.payload.model_dump() == {
        "kind": "tag_created",
        "tag": "v1",
        "commit": base,
        "before": None,
    }
    head = desk.repository.commit("main", {"a.txt": "2"})
    desk.repository.tag("v1", head)
    assert kinds(desk.tick()) == [("head_moved", "heads/main"), ("tag_created", "tags/v1")]
    del desk.repository.refs["refs/tags/v1"]
    assert desk.tick() == []
    assert "refs/tags/v1" not in desk.snapshots.states(ITEM)


def test_a_check_is_an_event_once_for_each_new_state_and_compares_the_head_again(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.report(head, "unit", CheckState.PENDING)
    desk.report(head, "lint", CheckState.SUCCESS)
    events = desk.tick()
    assert [event.payload.kind for event in events] == ["check_reported", "check_reported", "branch_assessed"]
    lint, unit = (event.payload for event in events[:2])
    assert isinstance(lint, CheckReported)
    assert isinstance(unit, CheckReported)
    assert (lint.checks, unit.name) == ({"lint": CheckState.SUCCESS}, "unit")
    assert assessments(events)[0].checks == unit.checks
    assert desk.tick() == []
    desk.report(head, "unit", CheckState.SUCCESS)
    assert [event.payload.kind for event in desk.tick()] == ["check_reported", "branch_assessed"]


def test_a_head_brings_the_checks_that_its_commit_has_on_another_branch(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.report(head, "unit", CheckState.SUCCESS)
    desk.tick()
    desk.checks.clear()
    desk.repository.branch("main", head)
    events = desk.tick()
    assert kinds(events)[:2] == [("head_moved", "heads/main"), ("check_reported", "heads/main")]
    assert desk.state("main").checks == {"unit": CheckState.SUCCESS}


def test_a_check_of_a_commit_that_is_no_head_is_no_event(desk: GitDesk):
    desk.report("f" * 40, "unit", CheckState.SUCCESS)
    assert desk.tick() == []
    reads = desk.snapshots.reads
    assert desk.tick() == []
    assert desk.snapshots.reads == reads
