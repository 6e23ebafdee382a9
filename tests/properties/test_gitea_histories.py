"""Gitea's pull requests: whatever happens there and to the poller, each change is one event."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.listeners.gitea import LISTENER
from tests.properties.driver import histories
from tests.properties.hosted_histories import Play
from tests.properties.hosted_truth import Rules
from tests.support.hosted import gitea

SEEDS = st.integers(0, 2**32)
RULES = Rules(
    comment_id=lambda written: f"comment-{written.id}",
    title=lambda request: f"WIP: {request.title}" if request.is_draft else request.title,
    failure="failure",
    keeps_titles=False,
    approval_is_single=False,
)


@given(seed=SEEDS)
@histories
def test_every_change_of_pull_requests_is_one_event(seed: int) -> None:
    chance = random.Random(seed)
    with gitea(page_size=chance.choice((3, 50))) as hosted:
        play = Play(hosted, LISTENER, RULES, chance)
        play.begin()
        for _ in range(chance.randint(1, 3)):
            for _ in range(chance.choice((1, 4, 15))):
                play.deeds.act()
            play.look()


@given(seed=SEEDS)
@histories
def test_what_changes_while_pages_are_read_is_not_lost(seed: int) -> None:
    chance = random.Random(seed)
    with gitea(page_size=chance.choice((3, 50))) as hosted:
        play = Play(hosted, LISTENER, RULES, chance)
        play.begin()
        play.disturb(0.3)
        for _ in range(4):
            play.deeds.act()
            play.driver.tick()
            hosted.clock.advance(seconds=chance.choice((1, 30)))
        play.rest()
        play.poll()
        play.agree()
