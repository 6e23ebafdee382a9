"""Mail against a real server: what is on the wire, and every way in which it can go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dct_pipelines.clients.sent_once import SentOnce
from dct_pipelines.clients.smtp import SmtpChannelClient
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.operations import Notification, SmtpChannel
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.support.mail import MailServer, mail_server

pytestmark = pytest.mark.integration


def channel(server: MailServer, **changes: Any) -> SmtpChannelClient:
    fields: dict[str, Any] = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "Triggers <dct@example.org>",
        "receivers": ("@example.org", "dev@example.net"),
        "timeout_seconds": 3,
    }
    return SmtpChannelClient(SmtpChannel.model_validate(fields | changes), FakeSecrets(), FakeClock())


def note(receiver: str = "qa@example.org", **changes: Any) -> Notification:
    fields: dict[str, Any] = {"subject": "Hello", "text": "line\n.dot\n", "idempotency_key": "k1"}
    return Notification(channel="mail", receiver=receiver, **(fields | changes))


def test_a_mail_says_that_it_is_automatic_and_keeps_its_id():
    with mail_server() as server:
        for _ in range(2):
            channel(server).send(note())
        first, second = server.mails
        assert first["Message-ID"] == second["Message-ID"]
        assert str(first["Message-ID"]).endswith("@example.org>")
        assert first["Auto-Submitted"] == "auto-generated"
        assert first["X-Auto-Response-Suppress"] == "All"
        assert first["To"] == "qa@example.org"
        assert first.get_content().replace("\r\n", "\n") == "line\n.dot\n"


@pytest.mark.parametrize("receiver", ["guest@example.com", "dev@example.org.evil.com", "example.org"])
def test_whom_the_operator_did_not_name_gets_nothing(receiver):
    with mail_server() as server:
        with pytest.raises(ActionFailed, match=r"may not write to|is not a mail address"):
            channel(server).send(note(receiver))
        assert not server.mails


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver": "qa@example.org\r\nRCPT TO:<guest@example.org>"},
        {"receiver": "qa@example.org\nBcc: guest@example.org"},
        {"subject": "Hi\r\nBcc: guest@example.org"},
    ],
)
def test_a_line_break_in_a_header_is_refused(changes):
    with mail_server() as server:
        with pytest.raises(ActionFailed):
            channel(server).send(note(**changes))
        assert not server.mails


@pytest.mark.parametrize(
    ("attribute", "answer", "error"),
    [
        ("rcpt_answer", "550 no such user", ActionFailed),
        ("rcpt_answer", "450 greylisted", ActionInterrupted),
        ("data_answer", "554 looks like spam", ActionFailed),
        ("data_answer", "451 try later", ActionInterrupted),
    ],
)
def test_what_the_server_says_decides_whether_it_is_tried_again(attribute, answer, error):
    with mail_server() as server:
        setattr(server, attribute, answer)
        with pytest.raises(ActionFailed, match=answer) as caught:
            channel(server).send(note())
        assert type(caught.value) is error


def test_a_connection_lost_after_the_last_byte_is_uncertain_and_not_sent_again(tmp_path):
    with mail_server() as server:
        server.hangs_up = True
        once = SentOnce(channel(server), tmp_path)
        assert once.send(note()).state == "uncertain"
        server.hangs_up = False
        assert once.send(note()).state == "uncertain"
        assert len(server.mails) == 1


def test_nobody_listening_is_tried_again():
    with mail_server() as server:
        pass
    with pytest.raises(ActionInterrupted, match="cannot be reached"):
        channel(server).send(note())


def test_a_server_without_encryption_gets_no_mail_that_should_be_encrypted():
    with mail_server() as server:
        with pytest.raises(ActionFailed, match="does not offer"):
            channel(server, security="starttls").send(note())
        assert not server.mails


@pytest.mark.parametrize(
    "changes",
    [{"username": "u", "password": "env:P"}, {"username": "u", "security": "tls"}, {"receivers": ()}],
)
def test_a_password_is_never_sent_in_the_clear(changes):
    with pytest.raises(ValidationError):
        channel(MailServer(), **changes)
