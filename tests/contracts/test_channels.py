"""Every channel, the fake one included: a message arrives, and the same key does not arrive twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.clients.outbox import FileOutbox
from dct_pipelines.clients.sent_once import SentOnce
from dct_pipelines.clients.slack.channel import SlackChannelClient
from dct_pipelines.clients.smtp import SmtpChannelClient
from dct_pipelines.clients.webhook import SignedPost, WebhookChannelClient
from dct_pipelines.domain.channels import SlackChannel, SmtpChannel, WebhookChannel
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import ChannelPort
from tests.fakes.channels import FakeChannel
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.fakes.slack_http import slack_http
from tests.fakes.slack_server import SlackWorkspace
from tests.support import slack
from tests.support.mail import mail_server
from tests.support.receiver import receiver


@dataclass
class Case:
    """A channel, and the subjects of what arrived at the other side, each once for a key."""

    channel: ChannelPort
    arrived: Callable[[], list[str]]


def _fake(_directory: Path) -> Iterator[Case]:
    channel = FakeChannel()
    yield Case(channel, lambda: [note.subject for note in channel.received.values()])


def _outbox(directory: Path) -> Iterator[Case]:
    def arrived() -> list[str]:
        return [json.loads(path.read_text())["subject"] for path in sorted(directory.glob("*.json"))]

    yield Case(FileOutbox(directory, FakeClock()), arrived)


def _webhook(_directory: Path) -> Iterator[Case]:
    with receiver() as server:

        def arrived() -> list[str]:
            return list(
                {r.headers["webhook-id"]: json.loads(r.body)["subject"] for r in server.requests}.values()
            )

        spec = WebhookChannel(name="hook", url=server.url, secret="env:HOOK", allow_private_network=True)
        post = SignedPost(FakeSecrets({"env:HOOK": "s3cret"}), FakeClock())
        yield Case(WebhookChannelClient(spec, post), arrived)


def _smtp(directory: Path) -> Iterator[Case]:
    with mail_server() as server:
        spec = SmtpChannel(
            name="mail",
            host="127.0.0.1",
            port=server.port,
            security="none",
            sender="dct@example.org",
            receivers=("@example.org",),
        )
        channel = SentOnce(SmtpChannelClient(spec, FakeSecrets(), FakeClock()), directory / "sent")
        yield Case(channel, lambda: [str(mail["Subject"]) for mail in server.mails])


def _slack(directory: Path) -> Iterator[Case]:
    workspace = SlackWorkspace(FakeClock())
    with slack_http(workspace) as server:
        spec = SlackChannel(name="chat", connection="chat", receivers=("qa@example.org",))
        workspace.users["qa@example.org"] = "UQA0000001"
        client = slack.client(server.url, FakeClock())
        channel = SlackChannelClient(
            spec, lambda: client, directory, lambda _channel, _mark, _before=None: None
        )

        def arrived() -> list[str]:
            return [said.extra["blocks"][0]["text"]["text"] for said in workspace.messages.values()]

        yield Case(SentOnce(channel, directory / "sent"), arrived)


CHANNELS = {"fake": _fake, "outbox": _outbox, "webhook": _webhook, "slack": _slack, "smtp": _smtp}


@pytest.fixture(params=CHANNELS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from CHANNELS[request.param](tmp_path)


def note(key: str, **changes: Any) -> Notification:
    fields: dict[str, Any] = {
        "channel": "c",
        "receiver": "qa@example.org",
        "subject": f"about {key}",
        "text": "hello\n.\n..dots",
        "idempotency_key": key,
    }
    return Notification(**(fields | changes))


def test_a_message_arrives(case):
    assert case.channel.send(note("k1")).state == "sent"
    assert case.arrived() == ["about k1"]


def test_the_same_key_does_not_arrive_twice(case):
    states = [case.channel.send(note("k1")).state for _ in range(2)]
    assert states[0] == "sent"
    assert case.arrived() == ["about k1"]


def test_two_keys_are_two_messages(case):
    for key in ("k1", "k2"):
        case.channel.send(note(key))
    assert sorted(case.arrived()) == ["about k1", "about k2"]


def test_any_text_arrives(case):
    case.channel.send(note("k1", subject="größer – 🎉", text="\u202eüber\n"))
    assert case.arrived() == ["größer – 🎉"]
