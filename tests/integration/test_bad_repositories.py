"""Repositories that are missing, torn, closed or empty: said, waited for, and read on without a gap."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.repos import SampleRepository, git
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

READY = """---
kind: trigger
name: ready
items: [shop]
conditions:
  - {type: branch_ready, config: {branch: feature/*, target_branch: qa}}
actions:
  - type: notify_users
    config: {channels: [{channel: outbox}], subject: ready, text: "{{ event.branch }}"}
"""


@dataclass(frozen=True)
class Damage:
    """What is done to a repository, and how it is undone."""

    do: Callable[[Path], object]
    undo: Callable[[Path], object]


def aside(path: Path) -> Path:
    return path.with_name(path.name + ".aside")


def put_aside(*parts: str) -> Damage:
    """Part of a repository is gone for a while."""
    return Damage(
        lambda path: path.joinpath(*parts).rename(aside(path)),
        lambda path: aside(path).rename(path.joinpath(*parts)),
    )


def replaced_by_a_file() -> Damage:
    def do(path: Path) -> None:
        path.rename(aside(path))
        path.write_text("not a repository\n")

    def undo(path: Path) -> None:
        path.unlink()
        aside(path).rename(path)

    return Damage(do, undo)


def closed() -> Damage:
    """A place that nobody can enter, whoever one is: a link to itself."""

    def do(path: Path) -> None:
        path.rename(aside(path))
        path.symlink_to(path.name)

    def undo(path: Path) -> None:
        path.unlink()
        aside(path).rename(path)

    return Damage(do, undo)


def torn_head() -> Damage:
    head = "ref: refs/heads/main\n"
    return Damage(lambda path: (path / "HEAD").write_text(""), lambda path: (path / "HEAD").write_text(head))


def emptied() -> Damage:
    """Another, empty repository at the same place."""

    def do(path: Path) -> None:
        path.rename(aside(path))
        SampleRepository.create(path)

    def undo(path: Path) -> None:
        shutil.rmtree(path)
        aside(path).rename(path)

    return Damage(do, undo)


DAMAGES = {
    "missing": put_aside(),
    "without objects": put_aside("objects"),
    "a file": replaced_by_a_file(),
    "closed": closed(),
    "torn": torn_head(),
    "emptied": emptied(),
}


def push(repository: SampleRepository, branch: str) -> None:
    base = repository.head("qa")
    assert base
    repository.commit(branch, {"new": f"{branch}\n"}, parents=[base])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_repository_that_cannot_be_read_is_said_and_read_on_without_a_gap(
    workshop: Workshop, damage: Damage
):
    shop, other = workshop.repository("shop"), workshop.repository("other")
    workshop.watch("shop", "other", more=READY)
    push(shop, "feature/before")
    assert workshop.tick().fired == 1
    before = workshop.events()
    push(shop, "feature/meanwhile")
    damage.do(shop.path)
    push(other, "topic")

    assert len(workshop.tick().problems) == 1
    assert workshop.events() == before
    assert workshop.events("other") == [("branch_created", "topic")]
    source = workshop.source()
    assert source["state"] == "unreadable"
    assert "shop" in source["detail"]
    assert workshop.source("other")["state"] == "ok"
    assert "shop cannot be read" in workshop.dct("status").out
    assert "shop cannot be read" in workshop.dct("explain", "ready").out

    damage.undo(shop.path)
    assert workshop.tick().fired == 1
    assert ("branch_created", "feature/meanwhile") in workshop.events()[len(before) :]
    assert workshop.source()["state"] == "ok"
    assert workshop.tick().events == 0


def test_a_repository_without_a_commit_is_watched_from_its_first_one(workshop: Workshop):
    empty = SampleRepository.create(workshop.folder / "repositories/shop.git")
    workshop.watch("shop")
    assert workshop.source()["state"] == "ok"
    empty.commit("main", {"README": "hello\n"})
    workshop.tick()
    assert workshop.events() == [("branch_created", "main")]


def test_a_torn_reference_is_not_a_deleted_branch_and_goes_on_when_it_is_mended(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop", more=READY)
    push(shop, "feature/x")
    workshop.tick()
    workshop.carry_out_all()
    before = workshop.events()
    reference = shop.path / "refs/heads/feature/x"
    whole = reference.read_text()

    for torn in ("", "garbage\n", whole[:20]):
        reference.write_text(torn)
        push(shop, "topic")
        workshop.tick()
        assert ("branch_deleted", "feature/x") not in workshop.events()
    assert "'refs/heads/feature/x' cannot be used" in workshop.source()["detail"]

    reference.write_text(whole)
    workshop.tick()
    assert [found for found in workshop.events()[len(before) :] if found[1] == "feature/x"] == []
    assert workshop.source()["detail"] is None
    assert len(workshop.rows(tables.trigger_executions)) == 1


def test_a_torn_tag_is_not_told_again_when_it_is_mended(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop")
    start = shop.head("main")
    assert start
    shop.tag("v1", start)
    workshop.tick()
    (shop.path / "refs/tags/v1").write_text("")
    workshop.tick()
    (shop.path / "refs/tags/v1").write_text(f"{start}\n")
    workshop.tick()
    assert workshop.events() == [("tag_created", "v1")]


def test_a_head_whose_commit_is_lost_waits_and_stops_no_other_branch(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop")
    (shop.path / "refs/heads/lost").write_text("1" * 40 + "\n")
    push(shop, "topic")
    workshop.tick()
    assert workshop.events() == [("branch_created", "topic")]
    assert "'lost'" in workshop.source()["detail"]


def test_a_torn_pack_is_said_and_read_on_once_it_is_whole(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop")
    push(shop, "topic")
    git("repack", "-adq", cwd=shop.path)
    [pack] = (shop.path / "objects/pack").glob("*.pack")
    whole = pack.read_bytes()
    pack.chmod(0o644)
    pack.write_bytes(whole[: len(whole) // 2])
    workshop.tick()
    assert workshop.events() == []
    assert "the head of branch 'topic' cannot be fetched" in workshop.dct("status").out
    pack.write_bytes(whole)
    workshop.tick()
    assert workshop.events() == [("branch_created", "topic")]
