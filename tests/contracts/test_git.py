"""What every `GitPort` keeps to about references and pushes: the real client, and the fake."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dct_pipelines.domain.errors import InvalidInput, ItemUnreadable
from dct_pipelines.domain.git import PushStatus, RefUpdate, RepositoryRef
from tests.support.git_world import NOWHERE, WORLDS, World, make_world


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return make_world(request.param, tmp_path)


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
