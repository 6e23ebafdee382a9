"""Random histories of a Jira site: whatever dies or fails, each change is one event, in its order.

See docs/reference/listeners.md, `jira`, for what can be seen; `jira_play` for how it is told.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.clients.jira import jira_client
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.tracking.reading import read_together
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.jira import LISTENER
from tests.fakes.budget import FakeBudget
from tests.fakes.jira_server import JiraServer
from tests.fakes.jira_site import JiraSite
from tests.fakes.ports import FakeClock
from tests.fakes.rest_http import FAULTS, Asked, rest_http
from tests.properties.driver import Deaths, Driver, histories
from tests.properties.jira_play import LONGEST_LAG, SITE, Play, judge

QUERY = "project in (PAY, OPS)"
TEXTS = st.sampled_from(["ship it", "*no*", "{html}", "done\nreally", "ünï", "why?", "(dct 12)"])


def play(*, is_cloud: bool, seed: int, posts: bool) -> Iterator[Play]:
    chance = random.Random(seed)
    clock = FakeClock()
    site = JiraSite(
        clock, is_cloud=is_cloud, lag=lambda: chance.choice((0, 0, 1, LONGEST_LAG)) if is_cloud else 0
    )
    with rest_http(JiraServer(site)) as server:
        endpoint = Endpoint(
            SITE, "simulated", "jira", server.url, config(is_cloud), lambda: "token", True, FakeBudget()
        )
        listener = replace(LISTENER, read_together=partial(read_together, batch_size=4))
        client = jira_client(endpoint, clock)
        driver = Driver(listener, SITE, config(is_cloud), (), lambda _item: client, clock)
        driver.pages_per_tick = chance.choice((1, 2, 1000))
        yield Play(site, driver, server, chance, posts=posts)
        client.site.api.close()


def config(is_cloud: bool) -> dict[str, Any]:
    return {"deployment": "cloud" if is_cloud else "data_center"}


def run(is_cloud: bool, seed: int, texts: list[str], *, posts: bool) -> None:
    for game in play(is_cloud=is_cloud, seed=seed, posts=posts):
        old = [game.site.create("PAY"), game.site.create("PAY"), game.site.create("OPS", assignee="dev")]
        game.site.comment(old[0], "from before")
        game.site.change(old[1], status="In Progress")
        game.site.clock.advance(hours=2)
        game.watch(ItemKind.JIRA_TICKET, old[0].key)
        game.watch(ItemKind.JIRA_QUERY, QUERY)
        game.site.clock.advance(seconds=1)
        game.driver.deaths = Deaths(game.chance, 0.08)
        game.http.fault = partial(fault, game)
        for number, text in enumerate(texts):
            if number == len(texts) // 2:
                moved = game.chance.choice(old)
                game.site.move(moved, "OPS")
                game.watch(ItemKind.JIRA_TICKET, moved.old_keys[0])
            game.step(text)
            game.later()
        game.sync()
        for item in game.driver.items:
            judge(game, item)
        assert not game.driver.intake.dead_letters
        assert not game.driver.intake.unreadable


def fault(game: Play, _asked: Asked) -> str | None:
    return game.chance.choice(FAULTS) if game.chance.random() < 0.12 else None


@pytest.mark.parametrize("is_cloud", [True, False], ids=["cloud", "data_center"])
@given(seed=st.integers(0, 2**32), texts=st.lists(TEXTS, min_size=5, max_size=40))
@histories
def test_every_change_is_one_event_in_its_order_whatever_dies_or_fails(
    is_cloud: bool, seed: int, texts: list[str]
):
    run(is_cloud, seed, texts, posts=False)


@pytest.mark.parametrize("is_cloud", [True, False], ids=["cloud", "data_center"])
@given(seed=st.integers(0, 2**32), texts=st.lists(TEXTS, min_size=5, max_size=40))
@histories
def test_a_delivery_and_a_poll_of_a_change_are_one_event(is_cloud: bool, seed: int, texts: list[str]):
    run(is_cloud, seed, texts, posts=True)
