"""`notify_users`: each receiver once, and the truth about who was not reached."""

from __future__ import annotations

from typing import Any

import pytest

from dct_pipelines.actions.notify_users import ACTION, NotifyUsersConfig, one_line
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.outcome import Outcome, OutcomeStatus
from tests.fakes.channels import FakeChannel
from tests.fakes.ports import action_context, fake_ports
from tests.fakes.shop import Shop

PASSING = ActionInterrupted("the server is away")
FINAL = ActionFailed("no such mailbox")


def config(*to: str, **changes: Any) -> NotifyUsersConfig:
    fields: dict[str, Any] = {"channels": [{"channel": "outbox", "to": to}], "subject": "S", "text": "T"}
    return NotifyUsersConfig.model_validate(fields | changes)


def run(channel: FakeChannel, given: NotifyUsersConfig, **context: Any) -> Outcome:
    return ACTION.run(action_context("tell", **context), given, fake_ports(channels={"outbox": channel}))


def test_everybody_is_told_once():
    channel = FakeChannel()
    outcome = run(channel, config("dev", "lead", "dev"))
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs["sent"] == 2
    assert sorted(outcome.outputs["keys"]) == sorted(channel.received)
    assert {note.receiver for note in channel.received.values()} == {"dev", "lead"}


def test_a_second_attempt_tells_nobody_again():
    channel = FakeChannel()
    run(channel, config("dev", "lead"))
    outcome = run(channel, config("dev", "lead"), started_before=True)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert len(channel.received) == 2


def test_a_second_attempt_tells_those_who_were_not_reached():
    channel = FakeChannel(refuses={"lead": PASSING})
    with pytest.raises(ActionInterrupted, match="not everybody was told yet: outbox:lead"):
        run(channel, config("dev", "lead"))
    channel.refuses.clear()
    outcome = run(channel, config("dev", "lead"), started_before=True)
    assert outcome.status is OutcomeStatus.DONE
    assert len(channel.received) == 2


def test_who_was_not_reached_is_named_with_the_reason():
    outcome = run(FakeChannel(refuses={"lead": FINAL}), config("dev", "lead"))
    assert outcome.status is OutcomeStatus.PARTLY
    assert "outbox:lead (no such mailbox)" in outcome.summary
    assert outcome.outputs["sent"] == 1


def test_what_may_have_arrived_is_shown_as_such():
    outcome = run(FakeChannel(uncertain=frozenset({"lead"})), config("dev", "lead"))
    assert outcome.status is OutcomeStatus.PARTLY
    assert "outbox:lead (it may have arrived)" in outcome.summary


def test_nobody_reached_for_a_passing_reason_is_tried_again():
    with pytest.raises(ActionInterrupted, match="the server is away"):
        run(FakeChannel(refuses={"dev": PASSING, "lead": FINAL}), config("dev", "lead"))


def test_nobody_reached_for_good_is_a_failure():
    with pytest.raises(ActionFailed, match="no such mailbox") as caught:
        run(FakeChannel(refuses={"dev": FINAL}), config("dev"))
    assert not caught.value.transient


def test_an_unknown_channel_is_named_before_anybody_is_told():
    channel = FakeChannel()
    given = config("dev", channels=[{"channel": "outbox", "to": ["dev"]}, {"channel": "outbx"}])
    with pytest.raises(ActionFailed, match="did you mean 'outbox'"):
        run(channel, given)
    assert not channel.received


def test_a_channel_may_have_words_of_its_own_and_is_its_own_receiver():
    channel = FakeChannel()
    run(channel, config(channels=[{"channel": "outbox", "subject": "Own", "text": "words"}]))
    (note,) = channel.received.values()
    assert (note.subject, note.text, note.receiver) == ("Own", "words", "outbox")


def test_programs_get_facts():
    channel = FakeChannel()
    run(channel, config("dev", facts={"commit": "abc"}))
    (note,) = channel.received.values()
    assert note.facts["commit"] == "abc"
    assert note.facts["trigger"] == "ship-it"
    assert note.facts["subject"] == "feature/pay"


def test_two_actions_of_one_execution_tell_the_same_person_twice():
    channel = FakeChannel()
    ports = fake_ports(channels={"outbox": channel})
    for name in ("tell", "tell_2"):
        ACTION.run(action_context(name), config("dev"), ports)
    assert len(channel.received) == 2


def test_a_cancelled_execution_tells_nobody_more():
    channel = FakeChannel()
    with pytest.raises(ActionInterrupted, match="cancelled"):
        run(channel, config("dev"), is_cancelled=lambda: True)
    assert not channel.received


def test_a_subject_is_one_short_line():
    assert one_line("a\r\nBcc: b@example.org\tc") == "a Bcc: b@example.org c"
    assert len(one_line("x" * 1000)) == 200


def test_a_dry_run_says_whom_it_would_tell_and_tells_nobody():
    shop = Shop()
    outcome = shop.rehearse(ACTION, **config("dev", "lead").model_dump())
    assert outcome.summary == "would tell dev over outbox: 'S'; tell lead over outbox: 'S'"
