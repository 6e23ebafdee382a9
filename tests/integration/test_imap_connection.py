"""Connections to a mail server: encryption, logins, and what each failure means for whoever waits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from dct_pipelines.clients.imap import ImapClient
from dct_pipelines.domain.errors import AddressRefused, ConnectionDown, CredentialRefused, ItemUnreadable
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.words import ItemKind
from tests.fakes.ports import FakeClock
from tests.support.mailboxes import driver_of, mail_client, texts
from tests.support.mails import raw_mail
from tests.support.proxy import Proxy
from tests.support.servers.imap_server import Mailbox
from tests.support.tokens import token_server

pytestmark = pytest.mark.integration
LATER = FakeClock().now() + timedelta(days=3650)
"""Behind every real time of arrival."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(LATER)


def numbered(number: int, *headers: str) -> bytes:
    return raw_mail(f"Message-ID: <{number}@example.com>", *headers, body=f"mail {number}")


def test_tls_checks_the_certificate_and_the_name(mailbox: Mailbox, clock: FakeClock):
    server = mailbox.server
    base, authority = f"imaps://localhost:{server.tls_port}", str(server.certificate)
    assert mail_client(mailbox, clock, base=base, ca_file=authority).state("INBOX").messages == 0
    with pytest.raises(AddressRefused, match="certificate"):
        mail_client(mailbox, clock, base=base).state("INBOX")
    with Proxied(server.tls_port, "127.0.0.2") as port, pytest.raises(AddressRefused, match="certificate"):
        mail_client(mailbox, clock, base=f"imaps://127.0.0.2:{port}", ca_file=authority).state("INBOX")


class Proxied:
    """A way through a proxy to a port of this machine."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.proxy = Proxy(port, host=host)

    def __enter__(self) -> int:
        self.proxy.up()
        return self.proxy.port

    def __exit__(self, *_: object) -> None:
        self.proxy.is_closing = True
        self.proxy.down()


def test_starttls_encrypts_before_the_login(mailbox: Mailbox, clock: FakeClock):
    base = f"imap://localhost:{mailbox.server.port}"
    authority = str(mailbox.server.certificate)
    assert (
        mail_client(mailbox, clock, base=base, starttls=True, ca_file=authority).state("INBOX").messages == 0
    )
    with pytest.raises(AddressRefused, match="certificate"):
        mail_client(mailbox, clock, base=base, starttls=True).state("INBOX")


def test_a_wrong_password_is_a_refused_credential_and_is_nowhere_in_the_message(
    mailbox: Mailbox, clock: FakeClock
):
    with pytest.raises(CredentialRefused) as caught:
        mail_client(mailbox, clock, secret="open sesame").state("INBOX")
    assert "sesame" not in str(caught.value)
    with pytest.raises(CredentialRefused, match="line break"):
        mail_client(mailbox, clock, secret="a\r\nb").state("INBOX")


def test_an_access_token_logs_in(mailbox: Mailbox, clock: FakeClock):
    assert mail_client(mailbox, clock, auth="xoauth2").state("INBOX").messages == 0
    with pytest.raises(CredentialRefused):
        mail_client(mailbox, clock, auth="xoauth2", secret="wrong").state("INBOX")


def test_a_token_that_was_withdrawn_is_fetched_anew_once(mailbox: Mailbox, clock: FakeClock):
    with token_server() as issuer:
        client = mail_client(
            mailbox,
            clock,
            secret="of the application",
            auth="xoauth2",
            token_url=issuer.url,
            client_id="dct",
        )
        with pytest.raises(CredentialRefused):
            client.state("INBOX")
        assert issuer.count == 2
        issuer.body = json.dumps({"access_token": mailbox.password}).encode()
        assert client.state("INBOX").messages == 0
        client.check()
        assert issuer.count == 3
        assert issuer.forms[-1]["client_secret"] == "of the application"


def test_a_session_that_ended_meanwhile_is_opened_anew(mailbox: Mailbox, clock: FakeClock):
    with Proxied(mailbox.server.port) as port:
        client = mail_client(mailbox, clock, port=port)
        client.state("INBOX")
        session = client._session
        assert session is not None
        session._cut()
        mailbox.append(numbered(1))
        assert client.state("INBOX").messages == 1


def always(client: ImapClient) -> Callable[[WatchedItem | None], ImapClient]:
    return lambda _item: client


def test_a_connection_that_breaks_anywhere_is_down_and_loses_nothing(mailbox: Mailbox, clock: FakeClock):
    way = Proxied(mailbox.server.port)
    with way as port:
        driver = driver_of(mailbox, clock, client=mail_client(mailbox, clock, port=port))
        driver.tick()
        cuts = 0
        for number in range(12):
            mailbox.append(numbered(number))
            driver.port = always(mail_client(mailbox, clock, port=port))
            way.proxy.cut_at(number + 1, is_delivered=bool(number % 2))
            if not driver.tick():
                cuts += 1
                assert driver.problems[0].startswith("ConnectionDown")
            way.proxy.up()
        driver.settle()
        assert cuts > 3
    assert texts(driver) == [f"mail {number}" for number in range(12)]
    with pytest.raises(ConnectionDown):
        mail_client(mailbox, clock, port=port).state("INBOX")


CAPABLE = b"* CAPABILITY IMAP4rev1\r\nTAG OK yes\r\n"


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that greets, then answers each line with the next of these; `TAG` is the line's tag."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as lines, suppress(OSError, IndexError):
                    connection.sendall(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
                    left = list(answers)
                    for line in lines:
                        answer = CAPABLE if b"CAPABILITY" in line else left.pop(0)
                        connection.sendall(answer.replace(b"TAG", line.split(b" ")[0]))
                        if not answer.endswith(b"\n"):
                            break

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b"TAG NO [UNAVAILABLE] later\r\n"], ConnectionDown),
        ([b"TAG NO [AUTHENTICATIONFAILED] no\r\n"], CredentialRefused),
        ([b"TAG BAD what\r\n"], CredentialRefused),
        ([b"* BYE overloaded\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"TAG NO no such folder\r\n"], ItemUnreadable),
        ([b"TAG OK yes\r\n", b"TAG NO [INUSE] later\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"* STATUS INBOX (MESSAGES 1)\r\nTAG OK yes\r\n"], ConnectionDown),
        (
            [b"TAG OK yes\r\n", b"* STATUS INBOX (UIDNEXT x UIDVALIDITY y MESSAGES z)\r\nTAG OK yes\r\n"],
            ConnectionDown,
        ),
        ([b"TAG OK yes\r\n", b"* STATUS ((((\r\nTAG OK yes\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"no IMAP at all\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"* STATUS {99999999999}\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"* OK " + b"x" * 1_100_000 + b"\r\n"], ConnectionDown),
        ([b"TAG OK yes\r\n", b"* STATUS INBOX (UIDNE"], ConnectionDown),
    ],
)
def test_what_a_server_answers_decides_who_has_to_wait(
    mailbox: Mailbox, clock: FakeClock, answers: list[bytes], error: type[Exception]
):
    with answering(*answers) as port, pytest.raises(error) as caught:
        mail_client(mailbox, clock, port=port).state("INBOX")
    assert type(caught.value) is error


def test_a_host_within_a_network_needs_the_operators_word(mailbox: Mailbox, clock: FakeClock):
    client = mail_client(mailbox, clock)
    client._guard._allow_private = False
    with pytest.raises(AddressRefused, match="private network"):
        client.state("INBOX")


@pytest.mark.parametrize(
    "base", ["http://mail", "imap://user:secret@mail", "imaps://mail/folder", "imaps://:99x"]
)
def test_a_base_that_is_no_mail_server_is_refused(mailbox: Mailbox, clock: FakeClock, base: str):
    with pytest.raises(AddressRefused):
        mail_client(mailbox, clock, base=base)


def test_a_check_says_what_was_found(mailbox: Mailbox, clock: FakeClock):
    mailbox.append(numbered(1))
    client = mail_client(mailbox, clock)
    said = {finding.what: finding.said for finding in client.check()}
    assert said["account"].startswith(mailbox.user)
    assert "1 mails" in said["permissions"]
    assert client.look(ItemKind.MAILBOX, "", {}) == "1 mails in INBOX"
    assert client.look(ItemKind.EMAIL_THREAD, "<1@example.com>", {}).startswith("that mail is in INBOX")
    assert client.look(ItemKind.EMAIL_THREAD, "2@example.com", {}).startswith("that mail is not in INBOX")
    with pytest.raises(ItemUnreadable):
        client.look(ItemKind.MAILBOX, "Work", {})


NEVER = ["169.254.169.254", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[::ffff:169.254.169.254]", "0.0.0.0"]


@pytest.mark.parametrize("host", NEVER)
def test_addresses_that_are_never_allowed_are_not_spoken_to(mailbox: Mailbox, clock: FakeClock, host: str):
    with pytest.raises(AddressRefused):
        mail_client(mailbox, clock, base=f"imaps://{host}").state("INBOX")


def test_a_public_host_is_not_spoken_to_in_the_clear(mailbox: Mailbox, clock: FakeClock):
    with pytest.raises(AddressRefused, match="TLS"):
        mail_client(mailbox, clock, base="imap://192.0.9.9").state("INBOX")
