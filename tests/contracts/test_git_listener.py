"""The git listener tells the same story of a repository in memory and of a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.payloads import BranchAssessed, ForcePushed, HeadMoved
from dct_pipelines.domain.repository.reader import RepositoryReader
from tests.support.git_reading import GitDesk, assessments, kinds
from tests.support.git_world import WORLDS, World, make_world


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return make_world(request.param, tmp_path)


def test_a_branch_from_its_creation_over_a_conflict_to_its_end(world: World) -> None:
    desk = GitDesk(asks=(AssessmentAsk("feature/*", None),), reader=RepositoryReader(world.port, world.repo))
    base = world.origin.commit("main", {"a.txt": "1\n"})
    assert desk.tick() == []
    world.origin.commit("feature/x", {"a.txt": "mine\n"}, "Mine", parents=[base])
    created, assessed = desk.tick()
    assert (created.payload.kind, created.subject) == ("branch_created", "refs/heads/feature/x")
    assert isinstance(assessed.payload, BranchAssessed)
    assert (assessed.payload.ahead, assessed.payload.merges_cleanly) == (1, True)

    world.origin.commit("main", {"a.txt": "theirs\n"}, "Theirs")
    moved = desk.tick()[0].payload
    assert isinstance(moved, HeadMoved)
    assert [commit.message for commit in moved.commits] == ["Theirs"]
    world.origin.commit("feature/x", {"b.txt": "1\n"})
    [conflict] = assessments(desk.tick())
    assert (conflict.merges_cleanly, conflict.conflicts) == (False, ("a.txt",))

    head = world.origin.head("main")
    assert head
    world.origin.commit("feature/x", {"b.txt": "2\n"}, "Anew", parents=[head])
    forced, solved = (event.payload for event in desk.tick())
    assert isinstance(forced, ForcePushed)
    assert [commit.message for commit in forced.commits] == ["Anew", "Theirs"]
    assert isinstance(solved, BranchAssessed)
    assert solved.merges_cleanly

    world.origin.delete_branch("feature/x")
    world.origin.tag("v1", head)
    assert kinds(desk.tick()) == [("branch_deleted", "heads/feature/x"), ("tag_created", "tags/v1")]
    assert desk.tick() == []


def test_a_head_that_was_forced_away_before_it_was_ever_fetched(world: World) -> None:
    desk = GitDesk(reader=RepositoryReader(world.port, world.repo))
    base = world.origin.commit("main", {"a.txt": "1\n"})
    world.origin.commit("topic", {"b.txt": "1\n"}, parents=[base])
    desk.tick()
    world.origin.commit("topic", {"c.txt": "1\n"}, "Anew", parents=[base])
    [forced] = desk.tick()
    assert isinstance(forced.payload, ForcePushed)
    assert [commit.message for commit in forced.payload.commits] == ["Anew"]
