"""Mail against a real server: what is on the wire, and every way in which it can go wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pydantic import ValidationError

from dct_pipelines.clients.sent_once import SentOnce
from dct_pipelines.clients.smtp import TOKEN_SECONDS, SmtpChannelClient
from dct_pipelines.domain.channels import SmtpChannel
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, CredentialRefused
from dct_pipelines.domain.operations import Notification
from dct_pipelines.engine.alerts.deliver import CLAIMED_FOR
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.support.mail import PASSWORD, MailServer, mail_server
from tests.support.tokens import token_server

SECRETS = FakeSecrets({"env:P": PASSWORD, "env:Q": "open sesame"})
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
    return SmtpChannelClient(SmtpChannel.model_validate(fields | changes), SECRETS, FakeClock())


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


def encrypted(server: MailServer, security: str, **changes: Any) -> SmtpChannelClient:
    fields = {"host": "localhost", "security": security, "ca_file": str(server.certificate)}
    return channel(server, **(fields | {"username": "dct", "password": "env:P"} | changes))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_goes_encrypted_and_after_a_login(tmp_path, security):
    with mail_server(security, tmp_path) as server:
        receipt = encrypted(server, security).send(note())
        assert (receipt.state, len(server.mails), bool(server.logins)) == ("sent", 1, True)
        assert receipt.message_id is not None
        assert f"<{receipt.message_id}>" == server.mails[0]["Message-ID"]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(tmp_path, security):
    with mail_server(security, tmp_path) as server:
        with pytest.raises(ActionFailed, match="certificate"):
            encrypted(server, security, ca_file=None).send(note())
        assert (server.mails, server.logins) == ([], [])
        with pytest.raises(ActionFailed, match="ca_file"):
            encrypted(server, security, ca_file=str(tmp_path / "nothing")).send(note())


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_wrong_password_is_a_refused_credential(tmp_path, security):
    with mail_server(security, tmp_path) as server:
        with pytest.raises(CredentialRefused, match="env:Q") as caught:
            encrypted(server, security, password="env:Q").send(note())
        assert "sesame" not in str(caught.value)
        assert not server.mails


def test_a_token_logs_in_and_a_refused_one_is_fetched_anew_once(tmp_path):
    with mail_server("tls", tmp_path) as server, token_server() as issuer:
        spec = {"auth": "xoauth2", "token_url": issuer.url, "client_id": "dct", "scope": "mail"}
        client = encrypted(server, "tls", **spec)
        server.tokens = {"token-1"}
        client.send(note())
        client.send(note())
        assert issuer.count == 1
        server.tokens = {"token-2"}
        client.send(note())
        assert (issuer.count, len(server.mails)) == (2, 3)
        server.tokens = set()
        with pytest.raises(CredentialRefused):
            client.send(note())
        assert issuer.count == 3
        assert issuer.forms[0] == {
            "grant_type": "client_credentials",
            "client_id": "dct",
            "client_secret": PASSWORD,
            "scope": "mail",
        }


def test_a_token_of_a_command_is_used_as_it_is(tmp_path):
    with mail_server("tls", tmp_path) as server:
        server.tokens = {PASSWORD}
        encrypted(server, "tls", auth="xoauth2").send(note())
        assert len(server.mails) == 1


@pytest.mark.parametrize("thread", ["abc@example.org", "<abc@example.org>"])
def test_a_mail_answers_in_its_thread(thread):
    with mail_server() as server:
        channel(server).send(note(thread=thread))
        (mail,) = server.mails
        assert (mail["In-Reply-To"], mail["References"]) == ("<abc@example.org>", "<abc@example.org>")


@pytest.mark.parametrize("thread", [None, "1234.5678", "a b@c", "a@b\r\nBcc: guest@example.org", "mail:00aa"])
def test_what_is_no_message_id_is_no_thread(thread):
    with mail_server() as server:
        channel(server).send(note(thread=thread))
        (mail,) = server.mails
        assert (mail["In-Reply-To"], mail["References"], mail["Bcc"]) == (None, None, None)


def test_a_public_relay_is_not_spoken_to_in_the_clear():
    with pytest.raises(ActionFailed, match="public address"):
        channel(MailServer(port=25), host="192.0.9.9").send(note())


@contextmanager
def dripping_server() -> Iterator[MailServer]:
    """A server whose greeting comes byte by byte and has no end."""
    over = threading.Event()

    def greet(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(b"2")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        greeting = threading.Thread(target=greet, args=(listening,))
        greeting.start()
        stop = threading.Timer(5, over.set)
        stop.start()
        try:
            yield MailServer(port=listening.getsockname()[1])
        finally:
            over.set()
            stop.cancel()
            greeting.join()


def test_a_whole_mail_has_its_time_however_often_the_server_says_something():
    with dripping_server() as server, pytest.raises(ActionInterrupted, match=r"no mail within 0\.6 s"):
        channel(server, timeout_seconds=0.2).send(note())


def test_the_longest_that_a_mail_may_take_is_shorter_than_a_claim_of_its_message():
    usual = SmtpChannel(name="mail", host="mail.example.org", sender="a@b.org", receivers=("@c.org",))
    assert usual.send_seconds == 60
    slow = usual.model_copy(update={"timeout_seconds": 300})
    assert slow.send_seconds + TOKEN_SECONDS < CLAIMED_FOR.total_seconds()


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
