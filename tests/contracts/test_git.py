"""What every `GitPort` keeps to: the real client on real repositories, and the fake."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import ActionFailed, InvalidInput, ItemUnreadable
from dct_pipelines.domain.git import (
    AheadBehind,
    GitPort,
    MergePreview,
    PushStatus,
    RefUpdate,
    RepositoryRef,
    Signature,
)
from dct_pipelines.domain.git_refs import Oid
from tests.fakes.git import FakeGit
from tests.support.repos import A_MOMENT, SampleRepository, git

NOWHERE = Oid("1" * 40)
WHO = Signature(name="Dynamic Context Triggers", email="dct@example.invalid", at=A_MOMENT)


class Origin(Protocol):
    """A repository as its users write to it."""

    @property
    def url(self) -> str: ...
    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = ...,
        *,
        parents: Sequence[Oid] | None = ...,
        at: datetime = ...,
        who: str = ...,
    ) -> Oid: ...
    def branch(self, name: str, oid: Oid) -> None: ...
    def delete_branch(self, name: str) -> None: ...
    def tag(self, name: str, oid: Oid, message: str | None = None) -> None: ...
    def head(self, branch: str) -> Oid | None: ...
    def files(self, oid: Oid) -> dict[str, str]: ...


@dataclass
class World:
    """A port, and one repository that it can reach."""

    port: GitPort
    origin: Origin
    folder: Path

    @property
    def repo(self) -> RepositoryRef:
        return RepositoryRef(self.origin.url)

    def push(self, branch: str, new: Oid | None, expected: Oid | None) -> PushStatus:
        ref = f"refs/heads/{branch}"
        return self.port.push(self.repo, {ref: RefUpdate(new, expected)})[ref].status


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    url = tmp_path / "origin.git"
    if request.param == "fake":
        fake = FakeGit()
        return World(fake, fake.repository(str(url)), tmp_path)
    return World(GitClient(tmp_path / "cache", Processes(tmp_path)), SampleRepository.create(url), tmp_path)


# ---------------------------------------------------------------- references


def test_a_snapshot_names_branches_tags_and_the_default_branch(world: World) -> None:
    first = world.origin.commit("main", {"a": "1\n"})
    second = world.origin.commit("feature/x", {"b": "1\n"}, parents=[first])
    world.origin.tag("v1", first, "The first")
    world.origin.tag("v2", second)
    seen = world.port.list_refs(world.repo)
    assert seen.branches == {"main": first, "feature/x": second}
    assert seen.tags == {"v1": first, "v2": second}
    assert (seen.default_branch, seen.rejected, seen.is_empty) == ("main", [], False)


def test_the_digest_changes_exactly_when_a_reference_does(world: World) -> None:
    first = world.origin.commit("main", {"a": "1\n"})
    before = world.port.list_refs(world.repo)
    assert before.digest == hashlib.sha256(before.raw).hexdigest()
    assert world.port.list_refs(world.repo).digest == before.digest
    world.origin.branch("other", first)
    assert world.port.list_refs(world.repo).digest != before.digest
    world.origin.delete_branch("other")
    assert world.port.list_refs(world.repo).digest == before.digest


def test_an_empty_repository_is_an_answer(world: World) -> None:
    seen = world.port.list_refs(world.repo)
    assert (seen.is_empty, seen.branches, seen.tags, seen.default_branch) == (True, {}, {}, None)


def test_a_missing_repository_is_an_error_and_never_empty(world: World) -> None:
    missing = RepositoryRef(str(world.folder / "missing.git"))
    for ask in (
        lambda: world.port.list_refs(missing),
        lambda: world.port.resolve(missing, "refs/heads/main"),
        lambda: world.port.contains(missing, "main", NOWHERE),
    ):
        with pytest.raises(ItemUnreadable, match=r"no git repository that can be read at .*; check its path"):
            ask()


@pytest.mark.parametrize(
    "name", ["--upload-pack=x", "$(id)", "a;touch${IFS}x", "-x", "ünïcode/日本", "a'b\"c"]
)
def test_a_hostile_name_is_only_a_name(world: World, name: str) -> None:
    base = world.origin.commit("main", {"a": "1\n"})
    head = world.origin.commit(name, {"b": "1\n"}, parents=[base])
    assert world.port.list_refs(world.repo).branches[name] == head
    assert world.port.resolve(world.repo, f"refs/heads/{name}") == head
    assert world.port.fetch(world.repo, {f"refs/heads/{name}": head}) == frozenset()
    assert world.port.merge_preview(world.repo, base, head).clean
    assert world.push(name, base, head) is PushStatus.DONE
    assert world.origin.head(name) == base


def test_resolve_peels_tags_and_knows_what_is_not_there(world: World) -> None:
    head = world.origin.commit("main", {"a": "1\n"})
    world.origin.tag("v1", head, "The first")
    assert world.port.resolve(world.repo, "refs/tags/v1") == head
    assert world.port.resolve(world.repo, "refs/heads/main") == head
    assert world.port.resolve(world.repo, "refs/heads/ma") is None
    assert world.port.resolve(world.repo, "refs/heads/v1") is None


@pytest.mark.parametrize(
    "name", ["main", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a\nb", "refs/heads/"]
)
def test_what_is_no_reference_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInput, match="not a valid reference name"):
        world.port.resolve(world.repo, name)
    with pytest.raises(InvalidInput, match="not a valid reference name"):
        world.port.fetch(world.repo, {name: NOWHERE})
    with pytest.raises(InvalidInput, match="not a valid reference name"):
        world.port.push(world.repo, {name: RefUpdate(None, NOWHERE)})


# ---------------------------------------------------------------- commits


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


# ---------------------------------------------------------------- merges


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


# ---------------------------------------------------------------- pushes


def test_a_push_moves_a_branch_only_from_where_it_is_expected(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    moved = world.origin.commit("qa", {"a": "2\n"})
    work = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    assert world.push("qa", work, base) is PushStatus.STALE
    assert world.origin.head("qa") == moved
    assert world.push("qa", work, None) is PushStatus.STALE
    assert world.push("qa", work, moved) is PushStatus.DONE
    assert world.origin.head("qa") == work


def test_a_push_that_already_got_through_is_unchanged(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    work = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    assert world.push("qa", work, base) is PushStatus.DONE
    assert world.push("qa", work, base) is PushStatus.UNCHANGED


def test_a_branch_is_made_only_if_it_is_not_there_and_deleted_only_if_unmoved(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    assert world.push("new", base, None) is PushStatus.DONE
    later = world.origin.commit("new", {"a": "2\n"})
    assert world.push("new", None, base) is PushStatus.STALE
    assert world.push("new", None, later) is PushStatus.DONE
    assert world.origin.head("new") is None


def test_several_references_move_together_or_not_at_all(world: World) -> None:
    base = world.origin.commit("qa", {"a": "1\n"})
    world.origin.branch("staging", base)
    work = world.origin.commit("work", {"b": "1\n"}, parents=[base])
    told = world.port.push(
        world.repo,
        {"refs/heads/qa": RefUpdate(work, base), "refs/heads/staging": RefUpdate(work, work)},
    )
    assert told["refs/heads/staging"].status is PushStatus.STALE
    assert told["refs/heads/qa"].status is PushStatus.REJECTED
    assert "another reference" in told["refs/heads/qa"].reason
    assert (world.origin.head("qa"), world.origin.head("staging")) == (base, base)
    told = world.port.push(
        world.repo,
        {"refs/heads/qa": RefUpdate(work, base), "refs/heads/staging": RefUpdate(work, base)},
    )
    assert {result.status for result in told.values()} == {PushStatus.DONE}
    assert world.port.push(world.repo, {}) == {}


def test_a_push_to_a_missing_repository_is_an_error(world: World) -> None:
    head = world.origin.commit("main", {"a": "1\n"})
    world.port.fetch(world.repo, {"refs/heads/main": head})
    missing = RepositoryRef(str(world.folder / "missing.git"))
    with pytest.raises(ItemUnreadable):
        world.port.push(missing, {"refs/heads/main": RefUpdate(head, None)})


# ---------------------------------------------------------------- files


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


@pytest.mark.parametrize("name", ["-x", "HEAD", "a..b", "a b", ""])
def test_a_workspace_gets_no_branch_that_git_would_refuse(world: World, name: str) -> None:
    start = world.origin.commit("main", {"a": "1\n"})
    with pytest.raises(InvalidInput):
        world.port.add_worktree(world.repo, name, start, world.folder / "place")
