"""Mailboxes on a real server: cursors, folders made anew, what is never changed, and every way to fail."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from dct_pipelines.domain.mail.token import OVERLAP_UIDS
from dct_pipelines.domain.words import ItemKind
from tests.fakes.ports import FakeClock
from tests.support.mailboxes import driver_of, flags_of, item_of, posted, texts
from tests.support.mails import PASS, raw_mail
from tests.support.servers.imap_server import Mailbox

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
