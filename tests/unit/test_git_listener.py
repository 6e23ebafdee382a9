"""The git listener: what becomes an event, when a head is compared again, and what a tick costs."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.errors import ConnectionDown, ItemTemporarilyUnreadable
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.payloads import BranchAssessed, BranchCreated, CheckReported, ForcePushed, HeadMoved
from dct_pipelines.domain.words import CheckState
from tests.support.desk import URL, Desk, kinds
from tests.support.facts import ITEM

TO_MAIN = AssessmentAsk("feature/*", None)
QUIET = AssessmentAsk("feature/*", "main", 60)


@pytest.fixture
def desk() -> Desk:
    """A repository with a commit on `main`, read once; heads are asked about."""
    desk = Desk(asks=(TO_MAIN,))
    desk.repository.commit("main", {"a.txt": "1"}, "Begin")
    desk.tick()
    desk.tick()
    return desk


def assessments(events: list[EventDraft]) -> list[BranchAssessed]:
    return [event.payload for event in events if isinstance(event.payload, BranchAssessed)]


def test_the_first_read_takes_the_repository_as_it_is():
    desk = Desk(asks=(TO_MAIN,))
    head = desk.repository.commit("main", {"a.txt": "1"})
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[head])
    desk.repository.tag("v1", head)
    desk.report(head, "unit", CheckState.SUCCESS)
    assert desk.tick() == []
    assert sorted(desk.snapshots.states(ITEM)) == ["refs/heads/feature/x", "refs/heads/main", "refs/tags/v1"]
    assert desk.state("main").is_default
    assert desk.state("main").checks == {"unit": CheckState.SUCCESS}


def test_a_tick_without_change_is_one_call_and_loads_nothing(desk: Desk):
    calls, reads = len(desk.git.calls), desk.snapshots.reads
    [page] = desk.pages()
    assert page.is_unchanged
    assert page.token == desk.token
    assert desk.git.calls[calls:] == ["list_refs"]
    assert desk.snapshots.reads == reads


def test_a_new_branch_is_an_event_with_its_commits_and_is_compared_once(desk: Desk):
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


def test_a_branch_that_nobody_asks_about_is_not_compared(desk: Desk):
    base = desk.repository.head("main")
    assert base
    desk.repository.branch("topic", base)
    assert kinds(desk.tick()) == [("branch_created", "heads/topic")]


def test_forward_forced_and_deleted_are_told_apart(desk: Desk):
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


def test_there_and_back_again_gives_four_different_events(desk: Desk):
    first = desk.repository.head("main")
    assert first
    second = desk.repository.commit("main", {"a.txt": "2"})
    desk.tick()
    for head in (first, second, first):
        desk.repository.branch("main", head)
        desk.tick()
    keys = [event.dedup_key for event in desk.events]
    assert len(set(keys)) == len(keys) == 4


def test_a_read_that_was_not_stored_gives_the_same_events_again(desk: Desk):
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[])
    assert [page.events for page in desk.pages()] == [page.events for page in desk.pages()]


def test_tags_that_appear_or_move_are_events_and_tags_that_go_are_forgotten(desk: Desk):
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


def test_a_check_is_an_event_once_for_each_new_state_and_compares_the_head_again(desk: Desk):
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


def test_a_head_brings_the_checks_that_its_commit_has_on_another_branch(desk: Desk):
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


def test_a_check_of_a_commit_that_is_no_head_is_no_event(desk: Desk):
    desk.report("f" * 40, "unit", CheckState.SUCCESS)
    assert desk.tick() == []
    reads = desk.snapshots.reads
    assert desk.tick() == []
    assert desk.snapshots.reads == reads


def test_a_conflict_is_compared_again_when_the_target_moves_and_is_said_only_when_it_is_another(desk: Desk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"a.txt": "mine"}, parents=[base])
    desk.repository.commit("main", {"a.txt": "theirs"})
    [conflict] = assessments(desk.tick())
    assert (conflict.merges_cleanly, conflict.conflicts) == (False, ("a.txt",))
    desk.repository.commit("main", {"c.txt": "1"})
    assert assessments(desk.tick()) == []
    assert desk.state("feature/x").assessments["main"].target_head == desk.repository.head("main")
    desk.repository.commit("main", {"a.txt": "mine"})
    [solved] = assessments(desk.tick())
    assert solved.merges_cleanly


def test_a_branch_that_merges_cleanly_is_not_compared_again_when_the_target_moves_on(desk: Desk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.commit("main", {"c.txt": "1"})
    assert kinds(desk.tick()) == [("head_moved", "heads/main")]


def test_a_contained_branch_is_compared_again_when_the_target_is_rewritten(desk: Desk):
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.branch("main", head)
    [contained] = assessments(desk.tick())
    assert contained.ahead == 0
    desk.repository.branch("main", base)
    [ahead] = assessments(desk.tick())
    assert ahead.ahead == 1


def test_a_rewritten_target_is_not_forgotten_when_the_read_stops_behind_it(desk: Desk):
    desk.page_size = 1
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.branch("main", head)
    desk.tick()
    desk.repository.branch("main", base)
    assert kinds(desk.tick(stored_pages=1)) == [("force_pushed", "heads/main")]
    assert [found.ahead for found in assessments(desk.tick())] == [1]


def test_a_target_that_appears_is_compared_with_every_head_pushed_since_the_first_read():
    desk = Desk(asks=(AssessmentAsk("feature/*", "QA"),))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.repository.commit("feature/old", {"o.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    assert assessments(desk.tick()) == []
    assert desk.notes == ("there is no branch 'QA', so nothing can be compared with it",)
    desk.repository.branch("qa", base)
    assert [(found.branch, found.target) for found in assessments(desk.tick())] == [("feature/x", "qa")]
    assert desk.state("feature/old").assessments["qa"].ahead == 1
    assert not desk.notes


def test_what_was_there_before_anybody_asked_is_compared_without_an_event():
    desk = Desk()
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.asks = (TO_MAIN,)
    assert desk.tick() == []
    assert desk.state("feature/x").assessments["main"].ahead == 1


def test_a_quiet_time_ends_with_one_event_and_starts_again_with_a_push():
    desk = Desk(asks=(QUIET,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    assert [found.quiet_seconds for found in assessments(desk.tick())] == [0]
    desk.tick(seconds=50)
    desk.repository.commit("feature/x", {"b.txt": "2"})
    desk.tick(seconds=5)
    assert assessments(desk.tick(seconds=50)) == []
    assert [found.quiet_seconds for found in assessments(desk.tick(seconds=15))] == [65]
    assert not desk.timers
    assert desk.tick(seconds=500) == []


def test_a_deleted_branch_drops_its_timers():
    desk = Desk(asks=(QUIET,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    assert len(desk.timers) == 1
    desk.repository.delete_branch("feature/x")
    assert kinds(desk.tick()) == [("branch_deleted", "heads/feature/x")]
    assert not desk.timers


def test_a_timer_that_nobody_asks_for_any_more_rings_once_for_nothing():
    desk = Desk(asks=(QUIET,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.asks = ()
    assert desk.tick(seconds=100) == []
    assert not desk.timers


def test_another_default_branch_is_compared_with_every_head():
    desk = Desk(asks=(TO_MAIN,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.branch("trunk", base)
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.default_branch = "trunk"
    [found] = assessments(desk.tick())
    assert (found.target, found.is_default_target) == ("trunk", True)
    assert not desk.state("feature/x").assessments["main"].is_default_target
    assert (desk.state("main").is_default, desk.state("trunk").is_default) == (False, True)


def test_a_deleted_default_branch_is_noted_and_stops_nothing_else(desk: Desk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.delete_branch("main")
    assert kinds(desk.tick()) == [("branch_deleted", "heads/main"), ("branch_created", "heads/feature/x")]
    assert desk.notes == ("the repository has no default branch, so nothing can be compared with it",)


def test_the_default_branch_can_be_named_for_a_repository_that_somebody_works_in():
    desk = Desk(asks=(TO_MAIN,), config={"default_branch": "main"})
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.default_branch = "feature/x"
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    assert [found.target for found in assessments(desk.tick())] == ["main"]


def test_an_empty_repository_is_a_first_state_like_any_other():
    desk = Desk()
    desk.repository.default_branch = "main"
    assert desk.tick() == []
    desk.repository.commit("main", {"a.txt": "1"})
    assert kinds(desk.tick()) == [("branch_created", "heads/main")]


def test_a_repository_that_is_suddenly_empty_is_unreadable_before_it_is_believed(desk: Desk):
    kept = dict(desk.repository.refs)
    desk.repository.refs.clear()
    for _ in range(2):
        with pytest.raises(ItemTemporarilyUnreadable, match="no branch and no tag any more"):
            desk.tick()
    desk.repository.refs.update(kept)
    assert desk.tick() == []
    desk.repository.refs.clear()
    for _ in range(2):
        with pytest.raises(ItemTemporarilyUnreadable):
            desk.tick()
    assert kinds(desk.tick()) == [("branch_deleted", "heads/main")]
    assert desk.tick() == []


def test_what_could_not_be_read_changes_nothing(desk: Desk):
    before = desk.token, desk.snapshots.states(ITEM)
    desk.git.outage(URL, ConnectionDown("the host is away"))
    with pytest.raises(ConnectionDown):
        desk.tick()
    assert (desk.token, desk.snapshots.states(ITEM)) == before


def test_hostile_names_are_data(desk: Desk):
    base = desk.repository.head("main")
    assert base
    for name in ("feature/--upload-pack=x", "feature/$(id)", "feature/a;touch${IFS}x"):
        desk.repository.branch(name, base)
    assert {event.payload.kind for event in desk.tick()} == {"branch_created", "branch_assessed"}
    assert len(desk.events) == 6


def test_a_reference_that_cannot_be_used_is_noted_until_it_is_gone(desk: Desk):
    base = desk.repository.head("main")
    assert base
    desk.repository.refs["refs/heads/bad name"] = base
    desk.tick()
    desk.tick()
    assert desk.notes == ("reference 'refs/heads/bad name' cannot be used: it contains ' '",)
    del desk.repository.refs["refs/heads/bad name"]
    desk.tick()
    assert not desk.notes


def test_a_head_that_is_gone_when_it_is_fetched_is_read_again_and_stops_nothing_else(desk: Desk):
    base = desk.repository.head("main")
    assert base
    gone = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.branch("topic", base)
    kept = desk.git.objects.commits.pop(gone)
    assert kinds(desk.tick()) == [("branch_created", "heads/topic")]
    assert desk.notes == ("branch 'feature/x' changed while it was read; it is read again",)
    desk.git.objects.commits[gone] = kept
    assert kinds(desk.tick()) == [
        ("branch_created", "heads/feature/x"),
        ("branch_assessed", "heads/feature/x"),
    ]
    assert desk.tick() == []


def test_a_head_whose_old_commit_is_gone_was_forced(desk: Desk):
    base = desk.repository.head("main")
    assert base
    old = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.commit("feature/x", {"c.txt": "1"}, "Anew", parents=[base])
    del desk.git.objects.commits[old]
    forced = desk.tick()[0].payload
    assert isinstance(forced, ForcePushed)
    assert [commit.message for commit in forced.commits] == ["Anew"]


def test_messages_and_names_are_bounded_and_storable(desk: Desk):
    base = desk.repository.head("main")
    assert base
    message = "\ud800 subject\x00\n\n" + "x" * 10_000
    desk.repository.commit("topic", {"b.txt": "1"}, message, parents=[base], who="\x00" + "n" * 500)
    created = desk.tick()[0].payload
    assert isinstance(created, BranchCreated)
    [commit] = created.commits
    assert len(commit.message) <= 2000
    assert len(commit.author.name or "") <= 200
    assert "\x00" not in created.model_dump_json().replace("\\u0000", "\x00")


def test_a_long_difference_comes_in_pages_that_resume_after_a_crash(desk: Desk):
    desk.page_size = 4
    base = desk.repository.head("main")
    assert base
    for place in range(10):
        desk.repository.commit(f"feature/{place}", {f"{place}.txt": "1"}, parents=[base])
    pages = desk.pages()
    assert [page.is_last for page in pages] == [False] * 4 + [True]
    assert all(len(page.events) <= 4 for page in pages)
    desk.tick(stored_pages=2)
    assert len(desk.events) == 8
    desk.tick()
    assert len(desk.events) == 20
    assert desk.tick() == []


def test_a_difference_that_goes_away_between_two_pages_is_still_seen(desk: Desk):
    desk.page_size = 2
    base = desk.repository.head("main")
    assert base
    for name in ("feature/a", "feature/b"):
        desk.repository.branch(name, base)
    desk.tick(stored_pages=1)
    for name in ("feature/a", "feature/b"):
        desk.repository.delete_branch(name)
    assert kinds(desk.tick()) == [("branch_deleted", "heads/feature/a")]
