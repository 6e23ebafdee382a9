"""A full disk below DCT_HOME: said clearly, waited for, nothing lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dct_pipelines.clients.sent_once import SentOnce
from dct_pipelines.domain.errors import DiskFull
from dct_pipelines.domain.operations import Notification
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.store import tables
from tests.fakes.channels import FakeChannel
from tests.support.command_line import *  # noqa: F403
from tests.support.disks import SmallDisk, small_disk
from tests.support.repos import SampleRepository
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

SHIP = """---
kind: environment
name: qa
repository: shop
branch: qa
deployer: {type: local, command: [sh, -c, 'echo "$DCT_IDEMPOTENCY_KEY" >> ../../../deployed']}
---
kind: suite
name: unit
command: [sh, -c, 'echo "<testsuite><testcase name=\\"a\\"/></testsuite>" > junit.xml']
---
kind: draft
name: look
title: Look
repository: shop
base: qa
---
kind: trigger
name: ship
items: [shop]
conditions:
  - {type: branch_ready, config: {branch: "feature/*", target_branch: qa}}
actions:
  - {type: merge_branches, config: {repository: shop, source: "{{ event.branch }}", target: qa}}
  - {type: deploy_environment, config: {environment: qa}}
  - {type: run_tests, config: {suite: unit, repository: shop, commit: "{{ event.head }}"}}
  - {type: create_workspace, config: {draft: look, commit: "{{ event.head }}"}}
  - {type: update_workspace, config: {workspace: "{{ steps.create_workspace.workspace_id }}", title: Seen}}
  - {type: notify_users, config: {channels: [{channel: outbox}], subject: done, text: done}}
  - {type: archive_workspace, config: {workspace: "{{ steps.create_workspace.workspace_id }}"}}
limits: {retry: {max_attempts: 1}}
"""
STEPS = (
    "merge_branches",
    "deploy_environment",
    "run_tests",
    "create_workspace",
    "update_workspace",
    "notify_users",
    "archive_workspace",
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """What DCT_HOME lies on."""
    with small_disk(tmp_path / ".dct", 16) as made:
        yield made


def push(repository: SampleRepository, branch: str) -> None:
    base = repository.head("qa")
    assert base
    content = "".join(f"{number} of {branch}\n" for number in range(20_000))
    repository.commit(branch, {"new": content}, parents=[base])


def test_the_listener_says_so_reads_what_needs_no_room_and_goes_on_by_itself(
    disk: SmallDisk, workshop: Workshop
):
    shop, _ = workshop.repository("shop"), workshop.repository("other")
    workshop.watch("shop", "other", more=SHIP)
    before = workshop.events()
    disk.fill()
    push(shop, "feature/x")
    for _ in range(2):
        report = workshop.tick()
        assert len(report.problems) == 1
        assert "free" in report.problems[0]
    assert workshop.events() == before
    assert workshop.source()["state"] == "unreadable"
    assert "No space left on device" in workshop.source()["detail"]
    assert workshop.source("other")["state"] == "ok"
    disk.free()
    assert workshop.tick().fired == 1
    assert workshop.events()[len(before) :] == [
        ("branch_created", "feature/x"),
        ("branch_assessed", "feature/x"),
    ]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_an_action_without_room_waits_however_long_and_happens_once(
    disk: SmallDisk, workshop: Workshop, step: int
):
    shop = workshop.repository()
    workshop.watch("shop", more=SHIP)
    push(shop, "feature/x")
    workshop.tick()
    [order] = workshop.dispatch()
    run = RunIdentity(str(uuid4()), order.job_name, order.execution_id, order.attempt)
    workshop.gateway.begin(run.run_id, order.execution_id, order.attempt)
    workshop.app.executor.claim(run)
    for index in range(step):
        workshop.app.executor.perform(run, index, workshop.log.append)
    disk.fill()
    if without_room(workshop, run, step):
        for _ in range(2):
            [again] = workshop.carry_out_all()
            assert (again.status, again.wait_reason) == ("waiting", "retry_backoff")
            assert "free" in again.wait_detail
        disk.free()
    else:
        disk.free()
        for index in range(step + 1, len(STEPS)):
            workshop.app.executor.perform(run, index, workshop.log.append)
        workshop.app.executor.close(run)
    workshop.carry_out_all()
    ended = workshop.execution(order)
    assert (ended.status, ended.error_message) == ("completed", None)
    happened_once(workshop, shop)


def without_room(workshop: Workshop, run: RunIdentity, step: int) -> bool:
    """Whether the action failed for want of room; some need none here."""
    try:
        workshop.app.executor.perform(run, step, workshop.log.append)
    except DiskFull:
        workshop.app.executor.release(run)
        workshop.gateway.end(run.run_id, "FAILURE")
        return True
    return False


def happened_once(workshop: Workshop, shop: SampleRepository) -> None:
    """Every effect, where it is seen from outside."""
    home = workshop.app.settings.home
    head, qa = shop.head("feature/x"), shop.head("qa")
    assert head
    assert qa
    assert "new" in shop.files(qa)
    assert len(list(home.glob("outbox/*.json"))) == 1
    assert len(list(home.glob("archives/*.tar.gz"))) == 1
    assert not list(home.glob("workspaces/*"))
    assert [row.state for row in workshop.rows(tables.deployments)] == ["succeeded"]
    assert [row.commit for row in workshop.rows(tables.deployments)] == [qa]
    assert len(workshop.rows(tables.workspaces)) == 1


def test_commands_of_dct_answer_with_a_full_home(disk: SmallDisk, workshop: Workshop):
    workshop.repository()
    workshop.watch("shop")
    disk.fill()
    assert workshop.dct("status", "--json").code in (0, 1)
    assert workshop.dct("explain", "shop").code == 0
    assert workshop.dct("execution", "list", "--json").data == []


def test_mail_is_not_sent_when_there_is_no_room_to_remember_it(disk: SmallDisk):
    mail = FakeChannel()
    channel = SentOnce(mail, disk.path / "sent")
    notification = Notification(
        channel="mail", receiver="a@example.invalid", subject="s", text="t", idempotency_key="k" * 20
    )
    disk.fill()
    with pytest.raises(DiskFull):
        channel.send(notification)
    assert not mail.received
    disk.free()
    assert channel.send(notification).state == "sent"
    assert channel.send(notification).state == "duplicate"
    assert len(mail.received) == 1
