"""GitLab's merge requests: whatever happens there and to the poller, each change is one event."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.listeners.gitlab import LISTENER
from tests.fakes.hosted_world import HostedWorld, WorldRequest
from tests.properties.driver import histories
from tests.properties.hosted_histories import Play
from tests.properties.hosted_truth import Rules
from tests.support.hosted import gitlab

SEEDS = st.integers(0, 2**32)


def _noted(world: HostedWorld, request: WorldRequest, before: str) -> None:
    """GitLab writes a note about a title, and marks what is different."""
    text = f"changed title from **{{-{before}-}}** to **{{+{request.title}+}}**"
    world.comment(request, text, "dev", system=True)


def _approved(world: HostedWorld, request: WorldRequest, user: str) -> None:
    world.comment(request, "approved this merge request", user, system=True)


RULES = Rules(
    comment_id=lambda written: f"note-{written.id}",
    title=lambda request: request.title,
    failure="failed",
    keeps_titles=True,
    approval_is_single=True,
    on_retitled=_noted,
    on_review=_approved,
)


@given(seed=SEEDS)
@histories
def test_every_change_of_merge_requests_is_one_event(seed: int) -> None:
    chance = random.Random(seed)
    with gitlab(page_size=chance.choice((3, 100))) as hosted:
        hosted.server.tells_approval_time = chance.random() < 0.7
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
    with gitlab(page_size=chance.choice((3, 100))) as hosted:
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
