"""What every `GitPort` keeps to about commits, merges and files: the real client, and the fake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dct_pipelines.clients.git import GitClient
from dct_pipelines.domain.errors import ActionFailed, InvalidInput, ItemUnreadable
from dct_pipelines.domain.git import AheadBehind, MergePreview, PushStatus
from dct_pipelines.domain.git_refs import Oid
from tests.support.git_world import NOWHERE, WHO, WORLDS, World, make_world
from tests.support.repos import A_MOMENT, git


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return make_world(request.param, tmp_path)


def test_fetch_says_what_can_no_longer_be_had_and_brings_the_rest(world: World) -> None:
    first = world.origin.commit("main", {"a": "1\n"})
    second = world.origin.commit("other", {"b": "1\n"}, parents=[first])
    wanted = {"refs/heads/main": first, "refs/heads/gone": NOWHERE, "refs/heads/other": second}
    assert world.port.fetch(world.repo, wanted) == {NOWHERE}
    assert world.port.is_ancestor(world.repo, first, second)


def test_a_commit_that_was_seen_can_be_had_after_its_branch_moved_or_vanished(world: World) -> None:
    first = world.origin.commit("main", {"a": "1\n"})
    seen = world.origin.commit("work", {"b": "1\n"}, parents=[first])
    world.origin.commit("work", {"b": "2\n"})
    assert world.port.fetch(world.repo, {"refs/heads/work": seen}) == frozenset()
    assert [commit.oid for commit in world.port.commits_between(world.repo, first, seen).commits] == [seen]


def test_commits_between_are_newest_first_with_author_time_and_message(world: World) -> None:
    base = world.origin.commit("main", {"a": "1\n"})
    one = world.origin.commit(
        "main", {"a": "2\n"}, "One\n\nWith a body\nof two lines\n", who="A Ü <a@example.invalid>"
    )
    two = world.origin.commit("main", {"a": "3\n"}, "Two", at=A_MOMENT + timedelta(hours=1))
    found = world.port.commits_between(world.repo, base, two)
    assert [commit.oid for commit in found.commits] == [two, one]
    assert not found.truncated
    newest, oldest = found.commits
    assert (oldest.author_name, oldest.author_email) == ("A Ü", "a@example.invalid")
    assert (oldest.subject, oldest.body) == ("One", "With a body\nof two lines")
    assert (newest.subject, newest.body, newest.parents) == ("Two", "", (one,))
    assert newest.committed_at == datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)


def test_a_long_range_is_cut_and_says_so(world: World) -> None:
    heads = [world.origin.commit("main", {"a": f"{number}\n"}) for number in range(4)]
    found = world.port.commits_between(world.repo, heads[0], heads[3], limit=2)
    assert ([commit.oid for commit in found.commits], found.truncated) == ([heads[3], heads[2]], True)
    whole = world.port.commits_between(world.repo, None, heads[3], limit=4)
    assert (len(whole.commits), whole.truncated) == (4, False)
    assert world.port.commits_between(world.repo, heads[3], heads[3]).commits == ()


def test_a_forced_head_does_not_contain_its_old_one(world: World) -> None:
    base = world.origin.commit("main", {"a": "1\n"})
    old = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    new = world.origin.commit("work", {"c": "1\n"}, parents=[base])
    assert not world.port.is_ancestor(world.repo, old, new)
    assert world.port.is_ancestor(world.repo, base, new)
    assert world.port.is_ancestor(world.repo, new, new)
    assert world.port.ahead_behind(world.repo, old, new) == AheadBehind(1, 1)
    assert world.port.ahead_behind(world.repo, base, new) == AheadBehind(1, 0)


def test_contains_asks_the_branch_as_it_is_now(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    work = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    assert not world.port.contains(world.repo, "qa", work)
    world.origin.branch("qa", work)
    assert world.port.contains(world.repo, "qa", work)
    assert world.port.contains(world.repo, "qa", base)
    assert not world.port.contains(world.repo, "no-such-branch", base)


def test_a_commit_that_nobody_has_is_an_error(world: World) -> None:
    head = world.origin.commit("main", {"a": "1\n"})
    for ask in (
        lambda: world.port.is_ancestor(world.repo, NOWHERE, head),
        lambda: world.port.commits_between(world.repo, NOWHERE, head),
        lambda: world.port.ahead_behind(world.repo, head, NOWHERE),
        lambda: world.port.merge_preview(world.repo, head, NOWHERE),
        lambda: world.port.merge_preview(world.repo, NOWHERE, head),
        lambda: world.port.assess(world.repo, head, [head, NOWHERE]),
        lambda: world.port.checkout_to(world.repo, NOWHERE, world.folder / "out"),
    ):
        with pytest.raises(ItemUnreadable, match=f"no longer has {NOWHERE}"):
            ask()
    assert not (world.folder / "out").exists()


def test_an_abbreviated_or_invented_id_is_refused(world: World) -> None:
    head = world.origin.commit("main", {"a": "1\n"})
    for bad in ("main", head[:10], f"{head}^", "--all", ""):
        with pytest.raises(InvalidInput, match="not a full object id"):
            world.port.is_ancestor(world.repo, Oid(bad), head)


def test_a_clean_merge_has_the_changes_of_both(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n", "gone": "x\n"})
    ours = world.origin.commit("qa", {"b": "ours\n"})
    theirs = world.origin.commit("work", {"a": "2\n", "gone": None}, parents=[base])
    preview = world.port.merge_preview(world.repo, ours, theirs)
    assert preview.clean
    assert preview.tree is not None
    merged = world.port.create_merge_commit(
        world.repo, preview.tree, [ours, theirs], "Merge work into qa", WHO
    )
    assert world.push("qa", merged, ours) is PushStatus.DONE
    assert world.origin.files(merged) == {"a": "2\n", "b": "ours\n"}
    assert world.port.contains(world.repo, "qa", theirs)


def test_a_conflict_names_its_files(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n", "new\nline": "1\n", "quiet": "1\n"})
    ours = world.origin.commit("qa", {"a": "ours\n", "new\nline": "ours\n"})
    theirs = world.origin.commit("work", {"a": "theirs\n", "new\nline": "theirs\n"}, parents=[base])
    preview = world.port.merge_preview(world.repo, ours, theirs)
    assert not preview.clean
    assert preview.tree is None
    assert sorted(preview.conflicts) == ["a", "new\nline"]
    assert "both sides changed 2 file" in preview.explanation


def test_histories_without_a_common_commit_do_not_merge(world: World) -> None:
    one = world.origin.commit("main", {"a": "1\n"})
    other = world.origin.commit("island", {"b": "1\n"}, parents=[])
    expected = MergePreview(clean=False, explanation="the two have no commit in common")
    assert world.port.merge_preview(world.repo, one, other) == expected


def test_many_heads_are_assessed_in_their_order(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    ahead = world.origin.commit("ahead", {"b": "1\n"}, parents=[base])
    target = world.origin.commit("qa", {"a": "2\n"})
    clean = world.origin.commit("clean", {"c": "1\n"}, parents=[base])
    conflict = world.origin.commit("conflict", {"a": "3\n"}, parents=[base])
    found = world.port.assess(world.repo, target, [conflict, clean, base, target, clean])
    assert [one.head for one in found] == [conflict, clean, base, target, clean]
    assert [one.merge.clean for one in found] == [False, True, True, True, True]
    counts = [(one.ahead_behind.ahead, one.ahead_behind.behind) for one in found]
    assert counts == [(1, 1), (1, 1), (0, 1), (0, 0), (1, 1)]
    assert found[0].merge.conflicts == ("a",)
    (forward,) = world.port.assess(world.repo, base, [ahead])
    assert forward.merge == world.port.merge_preview(world.repo, base, ahead)


def test_the_same_merge_commit_made_twice_is_the_same_commit(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    work = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    tree = world.port.merge_preview(world.repo, base, work).tree
    assert tree
    trailers = {"Dct-Execution": "7", "Dct-Trigger": "two\nlines"}
    made = [
        world.port.create_merge_commit(world.repo, tree, [base, work], "Merge", WHO, trailers) for _ in "ab"
    ]
    assert made[0] == made[1]
    other = world.port.create_merge_commit(world.repo, tree, [base, work], "Merge again", WHO, trailers)
    assert other != made[0]
    world.push("qa", made[0], base)
    (commit, *_) = world.port.commits_between(world.repo, base, made[0]).commits
    assert (commit.subject, commit.body) == ("Merge", "Dct-Execution: 7\nDct-Trigger: two lines")
    assert (commit.parents, commit.author_name, commit.committed_at) == ((base, work), WHO.name, A_MOMENT)


def test_a_checkout_has_the_files_of_the_commit_and_nothing_of_git(world: World) -> None:
    world.origin.commit("main", {"a": "1\n", "deep/er/b": "2\n"})
    head = world.origin.commit("main", {"a": None, "c\nd": "3\n"})
    out = world.folder / "deploys" / "qa"
    world.port.checkout_to(world.repo, head, out)
    found = {str(file.relative_to(out)): file.read_text() for file in out.rglob("*") if file.is_file()}
    assert found == {"deep/er/b": "2\n", "c\nd": "3\n"}
    assert [entry.name for entry in out.parent.iterdir()] == ["qa"]
    with pytest.raises(ActionFailed, match="exists already"):
        world.port.checkout_to(world.repo, head, out)


def test_a_working_directory_is_made_once_collected_from_and_removed(world: World) -> None:
    start = world.origin.commit("main", {"a": "1\n"})
    place = world.folder / "workspaces" / "one"
    world.port.add_worktree(world.repo, "ws/--one", start, place)
    (place / "b").write_text("made here\n")
    world.port.add_worktree(world.repo, "ws/--one", start, place)
    assert (place / "b").read_text() == "made here\n"
    with pytest.raises(ActionFailed, match="not a workspace on 'ws/two'"):
        world.port.add_worktree(world.repo, "ws/two", start, place)
    if isinstance(world.port, GitClient):
        git("add", ".", cwd=place)
        git("commit", "-q", "-m", "Work", cwd=place)
    head = world.port.collect_worktree(world.repo, "ws/--one", place)
    assert world.port.commits_between(world.repo, start, head).commits[0].parents == (start,)
    assert world.push("ws/--one", head, None) is PushStatus.DONE
    assert world.origin.files(head) == {"a": "1\n", "b": "made here\n"}
    world.port.remove_worktree(world.repo, place)
    world.port.remove_worktree(world.repo, place)
    assert list(place.parent.iterdir()) == []


def test_a_directory_without_a_repository_gets_what_it_lacks_and_keeps_what_it_has(world: World) -> None:
    start = world.origin.commit("main", {"a": "1\n", "sub/b": "1\n"})
    place = world.folder / "workspaces" / "one"
    there = {".dct/context.md": "why\n", "a": "mine\n", "sub/c": "mine too\n"}
    for name, content in there.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    world.port.add_worktree(world.repo, "ws/one", start, place)
    found = {name: (place / name).read_text() for name in (*there, "sub/b")}
    assert found == there | {"sub/b": "1\n"}
    assert [path.name for path in place.parent.iterdir()] == ["one"]
    if isinstance(world.port, GitClient):
        assert git("status", "--porcelain", cwd=place).split() == ["M", "a", "??", ".dct/", "??", "sub/c"]


@pytest.mark.parametrize("name", ["-x", "HEAD", "a..b", "a b", ""])
def test_a_workspace_gets_no_branch_that_git_would_refuse(world: World, name: str) -> None:
    start = world.origin.commit("main", {"a": "1\n"})
    with pytest.raises(InvalidInput):
        world.port.add_worktree(world.repo, name, start, world.folder / "place")
