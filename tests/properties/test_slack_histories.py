"""Slack loses nothing: random histories of a workspace of our own, read by the real client and listener.

What is expected is computed from what was done in the workspace by the table of docs/reference/listeners.md,
never from what the listener made of it. Polls are killed at random and meet 5xx, 429, resets, half answers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.ports import FakeClock
from tests.fakes.slack_http import SlackHttp, slack_http
from tests.fakes.slack_server import SlackWorkspace
from tests.properties.driver import histories
from tests.properties.slack_story import FAULTS, Expected, Story, Told, told_by
from tests.support import slack

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def server() -> Iterator[SlackHttp]:
    with slack_http(SlackWorkspace(FakeClock())) as served:
        yield served


@histories
@given(seed=st.integers(0, 2**32))
def test_every_change_that_polls_can_see_is_one_event(server: SlackHttp, seed: int):
    story = Story(server, seed)
    for _ in range(story.random.randrange(12)):
        story.act()
    driver = story.driver(slack.channel_item())
    driver.settle(2000)
    expected = Expected(story.space)
    expected.begin()
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 15)):
            story.act()
        story.poll_badly(driver)
        expected.polled()
    assert sorted(told_by(driver)) == sorted(expected.told)
    assert not driver.intake.dead_letters


@histories
@given(seed=st.integers(0, 2**32))
def test_with_deliveries_in_any_order_every_single_change_is_one_event(server: SlackHttp, seed: int):
    story = Story(server, seed)
    for _ in range(story.random.randrange(12)):
        story.act()
    driver = story.driver(slack.channel_item())
    driver.settle(2000)
    story.delivered = begun = len(story.space.done)
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 15)):
            story.act()
        if story.random.random() < 0.5:
            story.poll_badly(driver)
        story.deliver(driver)
        story.poll_badly(driver)
    joined = {said.ts for said in story.space.messages.values() if said.subtype == "channel_join"}
    done = [
        (one.kind, one.ts, one.at if one.kind == "message_edited" else "")
        for one in story.space.done[begun:]
        if one.ts not in joined
    ]
    told = told_by(driver)
    assert len(told) == len(set(told))
    assert set(told) <= set(done)
    # What a poll read as already edited may be told as posted like that, without the edit.
    assert set(done) - set(told) <= {("message_edited", *edit) for edit in story.space.shown_edited}
    for said in story.space.messages.values():
        subject = f"C0TEST0001/{said.root}/{said.ts}"
        state = driver.states(driver.items[0]).get(subject)
        assert said.is_reply or not (said.is_deleted and state), "what is gone is not remembered"


@histories
@given(seed=st.integers(0, 2**32))
def test_a_watched_thread_tells_each_answer_edit_and_deletion(server: SlackHttp, seed: int):
    story = Story(server, seed)
    root = story.space.post("the question")
    for _ in range(story.random.randrange(5)):
        story.space.post(story.word(), root=root)
    driver = story.driver(slack.thread_item(root))
    driver.settle(2000)
    read = {said.ts: said.edited for said in story.space.messages.values()}
    told: list[Told] = []
    for _ in range(story.random.randrange(1, 5)):
        for _ in range(story.random.randrange(1, 12)):
            alive = story.space.answers(root)
            match story.random.choice(("answer", "answer", "edit", "delete", "elsewhere", "time")):
                case "edit" if alive:
                    story.space.edit(story.random.choice(alive).ts, story.word())
                case "delete" if alive:
                    story.space.delete(story.random.choice(alive).ts)
                case "elsewhere":
                    story.space.post(story.word())
                case "time":
                    story.clock.advance(seconds=story.random.choice((1, 70, 500)))
                case _:
                    story.space.post(story.word(), root=root)
        story.poll_badly(driver)
        for said in [one for one in story.space.messages.values() if one.root == root]:
            if said.is_deleted and said.ts in read:
                del read[said.ts]
                told.append(("message_deleted", said.ts, ""))
            elif not said.is_deleted and said.ts not in read:
                read[said.ts] = said.edited
                told.append(("message_posted", said.ts, ""))
            elif not said.is_deleted and said.edited != read[said.ts]:
                read[said.ts] = said.edited
                told.append(("message_edited", said.ts, said.edited or ""))
    assert sorted(told_by(driver)) == sorted(told)


@histories
@given(seed=st.integers(0, 2**32))
def test_messages_written_while_a_poll_is_under_way_are_told_once_and_in_order(server: SlackHttp, seed: int):
    story = Story(server, seed)
    story.space.post("before")
    driver = story.driver(slack.channel_item())
    driver.settle(2000)

    def meanwhile(_method: str) -> str | None:
        if story.random.random() < 0.3 and len(story.space.messages) < 80:
            story.space.post(story.word())
            story.clock.advance(seconds=story.random.choice((0, 3)))
        return story.random.choice(FAULTS) if story.random.random() < 0.1 else None

    for _ in range(25):
        story.space.post(story.word())
        story.clock.advance(seconds=story.random.choice((0, 1, 9)))
    story.space.fault = meanwhile
    for _ in range(20):
        driver.tick()
    story.disturb(0)
    driver.settle(2000)
    posted = [ts for kind, ts, _ in told_by(driver) if kind == "message_posted"]
    assert posted == sorted(story.space.messages)[1:]
