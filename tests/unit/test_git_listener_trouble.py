"""The git listener: empty, hostile, vanishing and very long things."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.errors import ConnectionDown, ItemTemporarilyUnreadable
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.payloads import BranchCreated, ForcePushed
from tests.support.facts import ITEM
from tests.support.git_reading import URL, GitDesk, begun, kinds


@pytest.fixture
def desk() -> GitDesk:
    return begun()


def test_a_deleted_default_branch_is_noted_and_stops_nothing_else(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.delete_branch("main")
    assert kinds(desk.tick()) == [("branch_deleted", "heads/main"), ("branch_created", "heads/feature/x")]
    assert desk.notes == ("the repository has no default branch, so nothing can be compared with it",)


def test_an_empty_repository_is_a_first_state_like_any_other():
    desk = GitDesk()
    desk.repository.default_branch = "main"
    assert desk.tick() == []
    desk.repository.commit("main", {"a.txt": "1"})
    assert kinds(desk.tick()) == [("branch_created", "heads/main")]


def test_a_repository_that_is_suddenly_empty_is_unreadable_before_it_is_believed(desk: GitDesk):
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


def test_what_could_not_be_read_changes_nothing(desk: GitDesk):
    before = desk.token, desk.snapshots.states(ITEM)
    desk.git.outage(URL, ConnectionDown("the host is away"))
    with pytest.raises(ConnectionDown):
        desk.tick()
    assert (desk.token, desk.snapshots.states(ITEM)) == before


def test_hostile_names_are_data(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    for name in ("feature/--upload-pack=x", "feature/$(id)", "feature/a;touch${IFS}x"):
        desk.repository.branch(name, base)
    assert {event.payload.kind for event in desk.tick()} == {"branch_created", "branch_assessed"}
    assert len(desk.events) == 6


def test_a_reference_that_cannot_be_used_is_noted_until_it_is_gone(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.refs["refs/heads/bad name"] = base
    desk.tick()
    desk.tick()
    assert desk.notes == ("reference 'refs/heads/bad name' cannot be used: it contains ' '",)
    del desk.repository.refs["refs/heads/bad name"]
    desk.tick()
    assert not desk.notes


def test_a_torn_reference_is_neither_a_deleted_branch_nor_a_new_one_when_it_is_mended(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    desk.repository.branch("topic", base)
    desk.repository.tag("v1", base)
    desk.tick()
    for name in ("refs/heads/topic", "refs/tags/v1"):
        desk.repository.refs[name] = Oid("0" * 40)
    assert desk.tick() == []
    assert len(desk.notes) == 2
    for name in ("refs/heads/topic", "refs/tags/v1"):
        desk.repository.refs[name] = base
    assert desk.tick() == []


def test_a_head_that_is_gone_when_it_is_fetched_is_read_again_and_stops_nothing_else(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    gone = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.repository.branch("topic", base)
    kept = desk.git.objects.commits.pop(gone)
    assert kinds(desk.tick()) == [("branch_created", "heads/topic")]
    [note] = desk.notes
    assert note.startswith("the head of branch 'feature/x' cannot be fetched")
    desk.git.objects.commits[gone] = kept
    assert kinds(desk.tick()) == [
        ("branch_created", "heads/feature/x"),
        ("branch_assessed", "heads/feature/x"),
    ]
    assert desk.tick() == []


def test_a_head_whose_old_commit_is_gone_was_forced(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    old = desk.repository.commit("feature/x", {"b.txt": "1"}, parents=[base])
    desk.tick()
    desk.repository.commit("feature/x", {"c.txt": "1"}, "Anew", parents=[base])
    del desk.git.objects.commits[old]
    forced = desk.tick()[0].payload
    assert isinstance(forced, ForcePushed)
    assert [commit.message for commit in forced.commits] == ["Anew"]


def test_messages_and_names_are_bounded_and_storable(desk: GitDesk):
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


def test_a_long_difference_comes_in_pages_that_resume_after_a_crash(desk: GitDesk):
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


def test_a_difference_that_goes_away_between_two_pages_is_still_seen(desk: GitDesk):
    desk.page_size = 2
    base = desk.repository.head("main")
    assert base
    for name in ("feature/a", "feature/b"):
        desk.repository.branch(name, base)
    desk.tick(stored_pages=1)
    for name in ("feature/a", "feature/b"):
        desk.repository.delete_branch(name)
    assert kinds(desk.tick()) == [("branch_deleted", "heads/feature/a")]
