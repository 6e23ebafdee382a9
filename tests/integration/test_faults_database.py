"""A database that goes away at any statement, done or not: nothing lost, nothing doubled, no half state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.engine.reconcile import Reconciler
from dct_pipelines.engine.times import Times
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.proxy import Proxy, proxy_to
from tests.support.repos import SampleRepository, git
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

TO_QA = """---
kind: environment
name: qa
repository: shop
branch: qa
deployer: {type: local, command: ["true"]}
---
kind: trigger
name: to-qa
items: [shop]
conditions:
  - {type: branch_ready, config: {branch: "feature/*", target_branch: qa}}
actions:
  - {type: merge_branches, config: {repository: shop, source: "{{ event.branch }}", target: qa}}
  - {type: deploy_environment, config: {environment: qa}}
  - type: notify_users
    config: {channels: [{channel: outbox}], subject: "{{ event.branch }}", text: "{{ event.branch }}"}
"""
AT_ONCE = Times(
    heartbeat_seconds=0.001, self_fence_seconds=0.002, stale_seconds=0.003, start_within_seconds=0
)
STRIDE = 11
"""Not every statement of the long ways is cut, for the sake of time; prime, to meet all sorts."""
HOW = pytest.mark.parametrize("is_delivered", [False, True], ids=["lost", "done but not answered"])


@pytest.fixture
def way(database_url: str) -> Iterator[tuple[Proxy, str]]:
    with proxy_to(database_url) as made:
        yield made


@pytest.fixture
def proxy(way: tuple[Proxy, str]) -> Proxy:
    """The way from the workshop to its database."""
    return way[0]


@pytest.fixture
def workshop(
    dct: Dct, way: tuple[Proxy, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    monkeypatch.setenv("DCT_DATABASE_URL", way[1])
    made = Workshop(tmp_path, dct)
    yield made
    made.app.executor.stop()
    made.app.database.dispose()


def push(repository: SampleRepository, branch: str) -> None:
    base = repository.head("main")
    assert base
    repository.commit(branch, {branch.replace("/", "-"): "text\n"}, parents=[base])


def told(workshop: Workshop) -> int:
    return len(list(workshop.app.settings.home.glob("outbox/*.json")))


@HOW
def test_a_listener_cut_off_at_any_statement_tells_every_change_once(
    workshop: Workshop, proxy: Proxy, is_delivered: bool
):
    shop = workshop.repository()
    workshop.watch("shop", more=TO_QA)
    before = len(workshop.events())
    number = 0
    while number == 0 or proxy.was_cut:
        number += 1
        push(shop, f"feature/{number}")
        proxy.cut_at(2 * number, is_delivered=is_delivered)
        try:
            workshop.tick()
        except DatabaseUnavailable as error:
            assert "the database" in str(error)  # noqa: PT017
        proxy.up()
        workshop.tick()
    assert number > 7
    events = workshop.events()[before:]
    expected = [f"feature/{one}" for one in range(1, number + 1)]
    for kind in ("branch_created", "branch_assessed"):
        assert [name for found, name in events if found == kind] == expected
    fired = [row.subject for row in workshop.rows(tables.trigger_executions)]
    assert sorted(fired) == sorted(f"refs/heads/{name}" for name in expected)
    seqs = [row.seq for row in workshop.rows(tables.events)]
    assert len(set(seqs)) == len(seqs)


@HOW
def test_a_dispatcher_cut_off_at_any_statement_hands_every_execution_over(
    workshop: Workshop, proxy: Proxy, is_delivered: bool
):
    shop = workshop.repository()
    workshop.watch("shop", more=TO_QA)
    reconciler = Reconciler(workshop.app.database, workshop.gateway, AT_ONCE)
    number = 0
    while number == 0 or proxy.was_cut:
        number += 1
        push(shop, f"feature/{number}")
        workshop.tick()
        proxy.cut_at(2 * number, is_delivered=is_delivered)
        try:
            orders = workshop.dispatch()
        except DatabaseUnavailable:
            orders = ()
        proxy.up()
        if not orders:
            reconciler.sweep()
        ended = [workshop.carry_out(order) for order in orders] or workshop.carry_out_all()
        assert [row.status for row in ended] == ["completed"]
    assert number > 3
    assert told(workshop) == number


@HOW
def test_an_execution_cut_off_at_any_statement_goes_on_by_itself_and_acts_once(
    workshop: Workshop, proxy: Proxy, is_delivered: bool
):
    shop = workshop.repository()
    workshop.watch("shop", more=TO_QA)
    number = 0
    while number == 0 or proxy.was_cut:
        number += 1
        push(shop, f"feature/{number}")
        workshop.tick()
        [order] = workshop.dispatch()
        proxy.cut_at(STRIDE * number, is_delivered=is_delivered, back_after_seconds=0.05)
        ended = workshop.carry_out(order)
        proxy.up()
        assert (ended.status, ended.attempt, ended.error_message) == ("completed", 1, None), number
    assert number > 3
    assert told(workshop) == number
    merges = git("rev-list", "--merges", "--count", str(shop.head("qa")), cwd=shop.path)
    assert int(merges) == number
    assert {row.state for row in workshop.rows(tables.deployments)} == {"succeeded"}
    assert len(workshop.rows(tables.deployments)) == number
    assert workshop.rows(tables.leases) == []


@HOW
def test_an_apply_cut_off_at_any_statement_is_stored_as_a_whole_or_not_at_all(
    workshop: Workshop, proxy: Proxy, is_delivered: bool
):
    workshop.repository()
    workshop.watch("shop", more=TO_QA)
    number = 1 - STRIDE
    while number < 0 or proxy.was_cut:
        number += STRIDE
        (workshop.folder / "one.yaml").write_text(
            TO_QA.split("---\n")[2].replace("name: to-qa", f"name: copy-{number}")
        )
        proxy.cut_at(number, is_delivered=is_delivered)
        said = workshop.dct("trigger", "apply", "-f", "one.yaml")
        if proxy.was_cut and said.code:
            assert (said.code, said.err.startswith("dct: ")) == (4, True), said
            assert "Traceback" not in said.err
        proxy.up()
        whole_or_nothing(workshop, f"copy-{number}")
        assert workshop.dct("trigger", "apply", "-f", "one.yaml").code == 0
    assert number > 20
    versions = [row.version for row in workshop.rows(tables.trigger_versions)]
    assert set(versions) == {1}


def whole_or_nothing(workshop: Workshop, name: str) -> None:
    triggers, versions = tables.dynamic_context_triggers, tables.trigger_versions
    with workshop.app.database.connect() as connection:
        found = connection.execute(select(triggers.c.id).where(triggers.c.name == name)).all()
        for row in found:
            parts = [
                len(connection.execute(select(part).where(part.c.trigger_id == row.id)).all())
                for part in (
                    tables.trigger_conditions,
                    tables.trigger_actions,
                    tables.trigger_items,
                    versions,
                )
            ]
            assert parts == [1, 3, 1, 1]


COMMANDS = (
    ("status",),
    ("explain", "to-qa"),
    ("execution", "list"),
    ("trigger", "list"),
    ("trigger", "pause", "to-qa"),
    ("trigger", "simulate", "to-qa"),
    ("trigger", "delete", "to-qa", "--yes"),
    ("connection", "check", "local"),
    ("item", "show", "shop"),
    ("environment", "list"),
    ("user", "list"),
    ("db", "verify"),
    ("db", "migrate"),
    ("db", "optimize"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_without_its_database_says_so_with_exit_code_4(
    workshop: Workshop, proxy: Proxy, command: tuple[str, ...]
):
    proxy.down()
    said = workshop.dct(*command)
    assert said.code == 4
    assert said.err.startswith("dct: the database does not answer (")
    assert "work waits until it is back" in said.err
    assert len(said.err.splitlines()) == 1
    as_json = workshop.dct(*command, "--json")
    assert (as_json.code, '"exit_code": 4' in as_json.err) == (4, True)
