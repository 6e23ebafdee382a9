"""Mailboxes on a real server: cursors, folders made anew, what is never changed, and every way to fail."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from dct_pipelines.clients.imap import ImapClient
from dct_pipelines.domain.errors import AddressRefused, ConnectionDown, CredentialRefused, ItemUnreadable
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.mail.token import OVERLAP_UIDS
from dct_pipelines.domain.words import ItemKind
from tests.fakes.ports import FakeClock
from tests.support.mailboxes import driver_of, flags_of, item_of, mail_client, posted, texts
from tests.support.mails import PASS, raw_mail
from tests.support.proxy import Proxy
from tests.support.servers.imap_server import Mailbox
from tests.support.tokens import token_server

pytestmark = pytest.mark.integration
RESULTS = f"Authentication-Results: {PASS}"
LATER = FakeClock().now() + timedelta(days=3650)
"""Behind every real time of arrival."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(LATER)


def numbered(number: int, *headers: str) -> bytes:
    return raw_mail(f"Message-ID: <{number}@example.com>", *headers, body=f"mail {number}")


def test_the_first_read_takes_a_folder_as_it_is_and_later_mails_are_events(
    mailbox: Mailbox, clock: FakeClock
):
    mailbox.append(numbered(1))
    driver = driver_of(mailbox, clock)
    driver.tick()
    assert texts(driver) == []
    mailbox.append(numbered(2, RESULTS, "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="))
    mailbox.append(numbered(3, "References: <1@example.com> <2@example.com>", "In-Reply-To: <2@example.com>"))
    driver.tick()
    second, third = posted(driver)
    assert (second.text, second.subject, second.channel) == ("mail 2", "Gr\u00fc\u00dfe", "INBOX")
    assert (second.thread, second.in_thread, third.thread, third.in_thread) == (
        "2@example.com",
        False,
        "1@example.com",
        True,
    )
    assert second.mail is not None
    assert third.mail is not None
    assert (second.mail.is_authenticated, third.mail.is_authenticated) == (True, False)
    events = driver.intake.events
    assert [event.subject for event in events] == ["2@example.com", "1@example.com"]
    assert events[0].actor is not None
    assert events[1].actor is None
    assert driver.tick()
    assert len(driver.intake.events) == 2


def test_nothing_in_the_mailbox_is_changed(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    uids = [mailbox.append(numbered(number)) for number in range(3)]
    driver.tick()
    assert len(texts(driver)) == 3
    assert flags_of(mailbox) == dict.fromkeys(uids, ())


def test_a_folder_without_news_is_asked_for_its_numbers_only(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    before = driver.intake.connection_token
    client = driver.port(None)
    calls = client._endpoint.budget.calls
    count = calls["imap"]
    driver.tick()
    assert calls["imap"] == count + 1
    assert driver.intake.connection_token == before


def test_a_burst_is_drained_in_bounded_pages(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    for number in range(450):
        mailbox.append(numbered(number))
    driver.pages_per_tick = 1
    assert not driver.tick()
    assert len(texts(driver)) == 200
    driver.settle()
    assert texts(driver) == [f"mail {number}" for number in range(450)]
    assert driver.intake.repeats == 0


def test_gaps_of_deleted_mails_lose_nothing(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    uids = [mailbox.append(numbered(number)) for number in range(200)]
    driver.tick()
    mailbox.delete(*uids[5:])
    mailbox.append(numbered(1000))
    mailbox.delete(mailbox.append(numbered(1001)))
    driver.tick()
    assert texts(driver)[200:] == ["mail 1000"]


def test_a_folder_that_was_made_anew_gives_each_mail_once(mailbox: Mailbox, clock: FakeClock):
    mailbox.client.create_folder("Work")
    times = [FakeClock().now() + timedelta(seconds=number) for number in range(5)]
    put = mailbox.client.append
    for number in range(2):
        put("Work", numbered(number), (), times[number])
    driver = driver_of(mailbox, clock, item_of("work", location="Work"))
    driver.tick()
    put("Work", numbered(2), (), times[2])
    driver.tick()
    mailbox.recreate("Work")
    for number in range(5):
        put("Work", numbered(number), (), times[number])
    driver.settle()
    assert texts(driver) == ["mail 2", "mail 3", "mail 4"]
    put("Work", numbered(5), (), times[0])
    driver.settle()
    assert texts(driver)[3:] == ["mail 5"]


def test_a_copy_is_the_same_mail_and_a_reused_id_is_another(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    first = mailbox.append(numbered(1))
    driver.tick()
    mailbox.move(first, "Elsewhere")
    mailbox.client.select_folder("Elsewhere")
    mailbox.client.move([1], "INBOX")
    mailbox.client.unselect_folder()
    mailbox.append(raw_mail("Message-ID: <1@example.com>", body="another"))
    mailbox.append(raw_mail("Message-ID: <1@example.com>", "Subject: another", body="mail 1"))
    mailbox.append(raw_mail("Received: by a; now", body="without"))
    mailbox.append(raw_mail("Received: by a; then", body="without"))
    driver.tick()
    assert texts(driver) == ["mail 1", "another", "mail 1", "without", "without"]


def test_a_thread_sees_its_own_mails_only(mailbox: Mailbox, clock: FakeClock):
    mailbox.append(numbered(1))
    mailbox.append(numbered(2, "References: <1@example.com>"))
    thread = item_of("thread", ItemKind.EMAIL_THREAD, "<2@example.com>")
    driver = driver_of(mailbox, clock, thread, item_of("inbox"))
    driver.tick()
    mailbox.append(numbered(3, "In-Reply-To: <1@example.com>", RESULTS))
    mailbox.append(numbered(4, "References: <9@example.com>"))
    mailbox.append(numbered(5, "References: <1@example.com> <2@example.com>"))
    driver.tick()
    assert texts(driver, thread.id) == ["mail 3", "mail 5"]
    assert {event.subject for event in driver.intake.events if event.item_id == thread.id} == {
        "1@example.com"
    }
    assert len(texts(driver)) == 5
    (state,) = driver.states(thread).values()
    assert state.last_text == "mail 3"


def test_a_mailbox_has_one_state_that_of_its_last_trusted_mail(mailbox: Mailbox, clock: FakeClock):
    item = item_of("inbox")
    driver = driver_of(mailbox, clock, item)
    driver.tick()
    mailbox.append(numbered(1, RESULTS))
    mailbox.append(numbered(2, RESULTS))
    mailbox.append(numbered(3))
    mailbox.append(numbered(4, RESULTS, "Auto-Submitted: auto-replied"))
    driver.tick()
    assert {subject: state.last_text for subject, state in driver.states(item).items()} == {
        "2@example.com": "mail 2"
    }
    mailbox.append(numbered(5, RESULTS))
    driver.tick()
    assert list(driver.states(item)) == ["5@example.com"]


def test_a_delivered_mail_has_its_return_path(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    mailbox.deliver(numbered(1, RESULTS), sender="")
    driver.tick()
    (bounce,) = posted(driver)
    assert bounce.mail is not None
    assert bounce.mail.is_automatic


def test_a_huge_mail_costs_little(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    mailbox.append(raw_mail(body=b"Deploy it now\r\n" * 3_500_000))
    mailbox.append(numbered(1))
    began = time.monotonic()
    driver.tick()
    assert time.monotonic() - began < 5
    big, small = texts(driver)
    assert big.startswith("Deploy it now\n")
    assert (len(big) <= 100_000, small) == (True, "mail 1")


def test_a_mail_that_cannot_be_read_becomes_a_dead_letter_and_the_others_go_on(
    mailbox: Mailbox, clock: FakeClock
):
    driver = driver_of(mailbox, clock)
    driver.tick()
    deep = "".join(f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n" for n in range(50))
    mailbox.append(numbered(1))
    mailbox.append(
        raw_mail("Message-ID: <2@example.com>", "Content-Type: multipart/mixed; boundary=b0", body=deep)
    )
    mailbox.append(numbered(3))
    driver.tick()
    assert texts(driver) == ["mail 1", "", "mail 3"]
    (letter,) = driver.intake.dead_letters.values()
    assert "nested" in letter.why
    assert "<2@example.com>" in letter.raw


def test_a_missing_folder_stops_no_other_and_is_read_when_it_is_there(mailbox: Mailbox, clock: FakeClock):
    work = item_of("work", location="Work")
    driver = driver_of(mailbox, clock, work, item_of("inbox"))
    driver.tick()
    mailbox.append(numbered(1))
    assert driver.tick()
    assert texts(driver) == ["mail 1"]
    assert "Work" in driver.intake.unreadable[work.id]
    mailbox.client.create_folder("Work")
    driver.tick()
    assert driver.intake.unreadable == {}
    mailbox.append(numbered(2), "Work")
    driver.tick()
    assert texts(driver, work.id) == ["mail 2"]


def test_a_folder_that_vanishes_keeps_its_place(mailbox: Mailbox, clock: FakeClock):
    mailbox.client.create_folder("Work")
    driver = driver_of(mailbox, clock, item_of("work", location="Work"))
    driver.tick()
    mailbox.client.rename_folder("Work", "Away")
    driver.tick()
    assert driver.intake.unreadable
    mailbox.client.rename_folder("Away", "Work")
    mailbox.append(numbered(1), "Work")
    driver.tick()
    assert texts(driver) == ["mail 1"]


def test_folders_with_names_of_any_language_are_read(mailbox: Mailbox, clock: FakeClock):
    name = 'Pr\u00fcfung "QA" \\ & \u65e5\u672c'
    mailbox.client.create_folder(name)
    driver = driver_of(mailbox, clock, item_of("work", location=name))
    driver.tick()
    mailbox.append(numbered(1), name)
    driver.tick()
    assert texts(driver) == ["mail 1"]


def test_an_item_that_is_added_later_starts_then(mailbox: Mailbox, clock: FakeClock):
    first, second = item_of("first"), item_of("second", location="inbox")
    driver = driver_of(mailbox, clock, first)
    driver.tick()
    mailbox.append(numbered(1))
    driver.items = (first, second)
    driver.tick()
    mailbox.append(numbered(2))
    driver.tick()
    assert (texts(driver, first.id), texts(driver, second.id)) == (["mail 1", "mail 2"], ["mail 2"])


def test_the_token_stays_small(mailbox: Mailbox, clock: FakeClock):
    driver = driver_of(mailbox, clock)
    driver.tick()
    for number in range(300):
        mailbox.append(numbered(number))
    driver.settle()
    cursor = driver.intake.connection_token["folders"]["INBOX"]
    assert len(cursor["seen"]) <= OVERLAP_UIDS
    assert len(str(driver.intake.connection_token)) < 1_000


# ------------------------------------------------------------------ the connection


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
