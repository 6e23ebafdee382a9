"""Cursors of folders, where a real server cannot be made to show the case."""

from __future__ import annotations

from datetime import timedelta

from dct_pipelines.domain.mail.port import PAGE_SIZE
from dct_pipelines.domain.mail.reading import PAGE_BYTES
from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.listeners.mail import LISTENER
from tests.fakes.mailbox import FakeFolder, FakeMailbox
from tests.fakes.ports import NOON, FakeClock
from tests.properties.driver import Driver
from tests.support.mailboxes import CONNECTION, item_of, texts
from tests.support.mails import HOST, PASS, raw_mail

CONFIG = {"username": "dct", "authserv_id": HOST, "allowed_senders": ["@example.com"]}


def driver_on(mailbox: FakeMailbox) -> Driver:
    clock = FakeClock(NOON + timedelta(days=400))
    return Driver(LISTENER, CONNECTION, CONFIG, (item_of("inbox"),), lambda _item: mailbox, clock)


def inbox(mailbox: FakeMailbox) -> FakeFolder:
    return mailbox.folders["INBOX"]


def put(folder: FakeFolder, number: int, seconds: int = 0) -> int:
    raw = raw_mail(f"Message-ID: <{number}@example.com>", body=f"mail {number}")
    return folder.append(raw, NOON + timedelta(seconds=seconds))


def test_a_mail_that_becomes_visible_late_is_told_then():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    late = [put(inbox(mailbox), 1), put(inbox(mailbox), 2)]
    inbox(mailbox).hidden = set(late)
    for number in range(3, 40):
        put(inbox(mailbox), number)
    driver.tick()
    inbox(mailbox).show(late[1])
    driver.tick()
    inbox(mailbox).show(late[0])
    driver.tick()
    assert texts(driver) == [f"mail {number}" for number in (*range(3, 40), 2, 1)]
    assert driver.intake.repeats == 0


def test_a_folder_that_is_made_anew_in_the_middle_of_a_read_is_read_by_the_next():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    put(inbox(mailbox), 1)
    mailbox.before_rows = [inbox(mailbox)]
    driver.tick()
    assert driver.intake.unreadable
    driver.tick()
    assert texts(driver) == ["mail 1"]
    assert not driver.intake.unreadable


def test_what_was_there_before_stays_unseen_when_the_folder_is_made_anew():
    mailbox = FakeMailbox()
    for number in range(5):
        put(inbox(mailbox), number, seconds=min(number, 2))
    driver = driver_on(mailbox)
    driver.tick()
    put(inbox(mailbox), 5, seconds=2)
    put(inbox(mailbox), 6, seconds=3)
    inbox(mailbox).made_anew()
    driver.tick()
    assert texts(driver) == ["mail 5", "mail 6"]
    inbox(mailbox).made_anew()
    put(inbox(mailbox), 7, seconds=0)
    driver.tick()
    driver.tick()
    assert texts(driver) == ["mail 5", "mail 6"]


def test_of_a_large_folder_that_is_made_anew_only_the_last_time_is_read():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    for day in range(100):
        put(inbox(mailbox), day, seconds=86_400 * day)
    driver.tick()
    inbox(mailbox).made_anew()
    driver.tick()
    assert len(texts(driver)) == 100
    assert driver.intake.repeats == 2


def test_a_mail_from_the_future_hides_none_that_follows():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    put(inbox(mailbox), 1, seconds=10**9)
    driver.tick()
    put(inbox(mailbox), 2, seconds=86_400 * 399 + 86_000)
    inbox(mailbox).made_anew()
    driver.tick()
    assert texts(driver) == ["mail 1", "mail 2"]
    assert max(event.occurred_at for event in driver.intake.events) == driver.clock.now()


def test_pages_are_bounded_in_mails_and_in_bytes():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    for number in range(50):
        inbox(mailbox).append(raw_mail(f"Message-ID: <{number}@example.com>", body="x" * 300_000), NOON)
    driver.pages_per_tick = 1
    driver.tick()
    assert len(texts(driver)) == PAGE_BYTES // (256 * 1024)
    driver.settle()
    assert len(texts(driver)) == 50
    for number in range(100, 100 + 2 * PAGE_SIZE):
        put(inbox(mailbox), number)
    driver.tick()
    assert PAGE_SIZE - 50 <= len(texts(driver)) - 50 <= PAGE_SIZE
    driver.settle()
    assert len(set(texts(driver))) == 1 + 2 * PAGE_SIZE


def test_a_mail_that_its_server_cannot_hand_out_is_kept_as_a_dead_letter():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    for number in range(3):
        put(inbox(mailbox), number)
    inbox(mailbox).poison = {2}
    driver.tick()
    assert texts(driver) == ["mail 0", "mail 2"]
    assert [letter.why for letter in driver.intake.dead_letters.values()] == ["poison"]
    driver.tick()
    assert mailbox.calls[-1] == "state"


def test_the_end_of_the_arrivals_second_is_when_it_happened():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    put(inbox(mailbox), 1)
    driver.tick()
    assert driver.intake.events[0].occurred_at == NOON + timedelta(microseconds=999_999)


def test_a_copy_that_is_not_believed_does_not_stand_for_the_one_that_is():
    mailbox = FakeMailbox()
    driver = driver_on(mailbox)
    driver.tick()
    mail, believed = ("Message-ID: <1@example.com>",), f"Authentication-Results: {PASS}"
    for above in (("List-Id: <all.example.com>",), (believed,), ("Received: from elsewhere", believed)):
        inbox(mailbox).append(raw_mail(*above, *mail), NOON)
    driver.tick()
    posted = [event.payload for event in driver.intake.events]
    assert [one.mail.is_trusted for one in posted if isinstance(one, MessagePosted) and one.mail] == [
        False,
        True,
    ]
