"""The mail port, on a real server and in memory: the same answers to the same questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from imapclient import IMAPClient

from dct_pipelines.domain.errors import ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.mail.port import FetchedMail, MailPort, MailRow
from tests.fakes.mailbox import FakeFolder, FakeMailbox
from tests.fakes.ports import NOON, FakeClock
from tests.support.mailboxes import mail_client
from tests.support.mails import raw_mail
from tests.support.servers.imap_server import Mailbox

FOLDER = "Work"


@dataclass(frozen=True)
class Place:
    """A folder behind a port, and what others do to it."""

    port: MailPort
    append: Callable[[bytes, datetime], int]
    delete: Callable[[int], None]
    make_anew: Callable[[], None]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "fake":
        folder = FakeFolder()
        port = FakeMailbox({FOLDER: folder})
        yield Place(port, folder.append, folder.delete, lambda: folder.made_anew(False))
        return
    server = request.getfixturevalue("imap_server")
    user = f"c{uuid4().hex[:12]}@example.com"
    with IMAPClient(server.host, server.port, ssl=False) as client:
        mailbox = Mailbox(server, user, client)
        client.login(user, mailbox.password)
        client.create_folder(FOLDER)

        def append(raw: bytes, at: datetime) -> int:
            answer: bytes = client.append(FOLDER, raw, (), at)
            return int(answer.partition(b"APPENDUID")[2].split()[1].rstrip(b"]"))

        yield Place(
            mail_client(mailbox, FakeClock()),
            append,
            lambda uid: mailbox.delete(uid, folder=FOLDER),
            lambda: mailbox.recreate(FOLDER),
        )


def numbered(number: int) -> bytes:
    return raw_mail(f"Message-ID: <{number}@example.com>", body=f"mail {number}")


def test_the_state_changes_with_every_mail_and_deletion(place: Place):
    states = [place.port.state(FOLDER)]
    uid = place.append(numbered(1), NOON)
    states.append(place.port.state(FOLDER))
    place.delete(uid)
    states.append(place.port.state(FOLDER))
    assert len(set(states)) == 3
    assert [(state.uid_next, state.messages) for state in states] == [(1, 0), (2, 1), (2, 0)]
    assert place.port.state(FOLDER) == states[-1]


def test_rows_begin_at_a_uid_and_a_time(place: Place):
    for number in range(4):
        place.append(numbered(number), NOON + timedelta(seconds=number))
    validity = place.port.state(FOLDER).uid_validity
    rows = place.port.rows(FOLDER, validity, 2, None)
    assert [(row.uid, row.received_at) for row in rows] == [
        (number + 1, NOON + timedelta(seconds=number)) for number in (1, 2, 3)
    ]
    assert [row.uid for row in place.port.rows(FOLDER, validity, 1, NOON + timedelta(seconds=2))] == [3, 4]
    assert place.port.rows(FOLDER, validity, 5, None) == []


def test_mails_come_in_the_order_of_their_rows_without_those_that_are_gone(place: Place):
    uids = [place.append(numbered(number), NOON) for number in range(3)]
    validity = place.port.state(FOLDER).uid_validity
    rows = place.port.rows(FOLDER, validity, 1, None)
    place.delete(uids[1])
    found = place.port.fetch(FOLDER, validity, rows)
    assert [mail.text for mail in found if isinstance(mail, FetchedMail)] == ["mail 0", "mail 2"]
    assert [mail.row for mail in found] == [rows[0], rows[2]]


def test_a_folder_that_was_made_anew_is_not_taken_for_the_old_one(place: Place):
    place.append(numbered(1), NOON)
    validity = place.port.state(FOLDER).uid_validity
    place.make_anew()
    assert place.port.state(FOLDER).uid_validity != validity
    with pytest.raises(ItemTemporarilyUnreadable):
        place.port.rows(FOLDER, validity, 1, None)
    with pytest.raises(ItemTemporarilyUnreadable):
        place.port.fetch(FOLDER, validity, [MailRow(1, 10, NOON)])


def test_a_missing_folder_is_unreadable(place: Place):
    with pytest.raises(ItemUnreadable):
        place.port.state("Nowhere")


def test_a_mail_is_found_by_its_message_id(place: Place):
    place.append(numbered(1), NOON)
    header = place.port.headers_of(FOLDER, "1@example.com")
    assert header is not None
    assert b"<1@example.com>" in header
    assert place.port.headers_of(FOLDER, "2@example.com") is None
