"""Whom alerts are told to: each receiver of a channel, and nobody twice."""

from __future__ import annotations

import logging

import pytest
from pydantic import TypeAdapter, ValidationError

from dct_pipelines.domain.channels import ChannelSpec, SlackChannel, SmtpChannel, WebhookChannel
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.trigger import Name
from dct_pipelines.engine.alerts.sending import WEBHOOK, destinations


def test_a_user_of_slack_whose_name_begins_with_an_at_is_told_and_a_domain_of_mail_is_nobody():
    known: dict[str, ChannelSpec] = {
        "chat": SlackChannel(name="chat", connection="slack", receivers=("@kim", "#ops", "*")),
        "mail": SmtpChannel(name="mail", host="h", sender="a@b", receivers=("x@example.org", "@example.org")),
    }
    assert destinations(False, ["chat", "mail"], known.get) == [
        "chat:@kim",
        "chat:#ops",
        "mail:x@example.org",
    ]


def test_a_channel_that_cannot_be_read_stays_one_and_that_is_logged(caplog: pytest.LogCaptureFixture):
    def find(name: str) -> ChannelSpec | None:
        raise InvalidInput(f"channel {name!r} cannot be read: another release saved it otherwise")

    with caplog.at_level(logging.WARNING):
        assert destinations(True, ["ops", "ops:#on-call"], find)[1:] == ["ops", "ops:#on-call"]
    assert "channel 'ops' cannot be read" in caplog.text


def test_a_channel_that_is_called_webhook_is_told_besides_the_webhook_of_the_settings():
    known: dict[str, ChannelSpec] = {"webhook": WebhookChannel(name="webhook", url="https://h.example")}
    assert destinations(True, ["webhook"], known.get) == [WEBHOOK, "webhook:webhook"]


def test_no_channel_can_be_called_like_the_webhook_of_the_settings():
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(WEBHOOK)
