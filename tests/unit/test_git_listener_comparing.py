"""The git listener: when a head is compared with its targets, and when that is said."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.condition import AssessmentAsk
from tests.support.git_reading import TO_MAIN, GitDesk, assessments, begun, kinds

QUIET = AssessmentAsk("feature/*", "main", 60)


@pytest.fixture
def desk() -> GitDesk:
    return begun()


def test_a_conflict_is_compared_again_when_the_target_moves_and_is_said_only_when_it_is_another(
    desk: GitDesk,
):
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


def test_a_branch_that_merges_cleanly_is_not_compared_again_when_the_target_moves_on(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.commit("main", {"c.txt": "1"})
    assert kinds(desk.tick()) == [("head_moved", "heads/main")]


def test_a_contained_branch_is_compared_again_when_the_target_is_rewritten(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.branch("main", head)
    [contained] = assessments(desk.tick())
    assert contained.ahead == 0
    desk.repository.branch("main", base)
    [ahead] = assessments(desk.tick())
    assert ahead.ahead == 1


def test_a_rewritten_target_is_not_forgotten_when_the_read_stops_behind_it(desk: GitDesk):
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
    desk = GitDesk(asks=(AssessmentAsk("feature/*", "QA"),))
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
    desk = GitDesk()
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.asks = (TO_MAIN,)
    assert desk.tick() == []
    assert desk.state("feature/x").assessments["main"].ahead == 1


def test_a_quiet_time_ends_with_one_event_and_starts_again_with_a_push():
    desk = GitDesk(asks=(QUIET,))
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
    desk = GitDesk(asks=(QUIET,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    assert len(desk.timers) == 1
    desk.repository.delete_branch("feature/x")
    assert kinds(desk.tick()) == [("branch_deleted", "heads/feature/x")]
    assert not desk.timers


def test_a_timer_that_nobody_asks_for_any_more_rings_once_for_nothing():
    desk = GitDesk(asks=(QUIET,))
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.asks = ()
    assert desk.tick(seconds=100) == []
    assert not desk.timers


def test_another_default_branch_is_compared_with_every_head():
    desk = GitDesk(asks=(TO_MAIN,))
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


def test_the_default_branch_can_be_named_for_a_repository_that_somebody_works_in():
    desk = GitDesk(asks=(TO_MAIN,), config={"default_branch": "main"})
    base = desk.repository.commit("main", {"a.txt": "1"})
    desk.tick()
    desk.repository.default_branch = "feature/x"
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    assert [found.target for found in assessments(desk.tick())] == ["main"]
    desk.config = {"default_branch": "feature/x"}
    desk.tick()
    assert desk.state("feature/x").is_default
    assert not desk.state("main").is_default
