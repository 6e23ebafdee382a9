"""Nothing is lost and nothing told twice, whatever happens in a mailbox and to whoever reads it.

The truth is what the test itself put into a real server's folder. What is expected of it follows
docs/reference/listeners.md, `mail`: each mail that was there at a read, once, in the order of arrival; a copy
is the same mail, another mail with a known Message-ID is not; a folder made anew gives what was not seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st
from imapclient import IMAPClient

from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.domain.words import ItemKind
from tests.fakes.ports import NOON, FakeClock
from tests.properties.driver import Deaths, Driver, histories
from tests.support.mailboxes import driver_of, item_of, mail_client
from tests.support.mails import PASS, raw_mail
from tests.support.proxy import Proxy
from tests.support.servers.imap_server import PASSWORD, ImapServer, Mailbox

FOLDER = "Work"
WORK = item_of("work", location=FOLDER)
THREAD = item_of("thread", ItemKind.EMAIL_THREAD, "<root@example.com>", folder=FOLDER)
Told = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Written:
    """A mail as its writer made it. `thread` is the id of the thread's first mail, empty for none."""

    number: int
    message_id: str
    thread: str
    is_trusted: bool
    at: datetime

    @property
    def raw(self) -> bytes:
        headers = [f"Authentication-Results: {PASS}"] if self.is_trusted else []
        headers += [f"Received: from a by b; {self.number}", f"Subject: mail {self.number}"]
        headers += [f"Message-ID: <{self.message_id}>"] if self.message_id else []
        headers += [f"References: <{self.thread}>"] if self.thread else []
        return raw_mail(*headers, body=f"text {self.number}")

    @property
    def told(self) -> Told:
        """What its event has to say: subject, text, thread (its own id where it is known), and trust."""
        return (f"mail {self.number}", f"text {self.number}", self.thread or self.message_id, self.is_trusted)


@dataclass
class History:
    """A folder, what is in it, and what its readers have to be told of. Most mails share their seconds."""

    mailbox: Mailbox
    dice: random.Random
    present: dict[int, Written] = field(default_factory=dict)
    due: list[Written] = field(default_factory=list)
    """Mails that arrived and were not taken away before they could be read, in their order."""
    unsure: set[int] = field(default_factory=set)
    """Mails that were taken away again before a read was surely complete."""
    settled: set[int] = field(default_factory=set)
    count: int = 0
    now: datetime = NOON

    def arrive(self) -> Written:
        self.count += 1
        self.now += timedelta(seconds=self.dice.choice([0, 0, 0, 1, 2]))
        ids = [f"m{self.count}@example.com"] * 4 + ["", "m1@example.com"]
        threads = ["", "", "root@example.com", f"m{self.dice.randint(1, self.count)}@example.com"]
        message_id, thread = self.dice.choice(ids), self.dice.choice(threads)
        mail = Written(
            self.count,
            message_id,
            "" if thread == message_id else thread,
            self.dice.random() < 0.5,
            self.now,
        )
        self._put(mail)
        return mail

    def new(self) -> None:
        self.due.append(self.arrive())

    def burst(self) -> None:
        for _ in range(self.dice.randint(10, 60)):
            self.new()

    def copied(self) -> None:
        """A mail that is there, and was not from the beginning, arrives a second time."""
        known = {mail.number for mail in self.due}
        if found := [mail for mail in self.present.values() if mail.number in known]:
            self._put(self.dice.choice(found))

    def taken_away(self) -> None:
        """Some mails are deleted with their copies, seen or not."""
        chosen = self.dice.sample(sorted(self.present), min(len(self.present), self.dice.randint(1, 8)))
        gone = {self.present[uid].number for uid in chosen}
        uids = [uid for uid, mail in self.present.items() if mail.number in gone]
        self.present = {uid: mail for uid, mail in self.present.items() if uid not in uids}
        self.unsure |= gone - self.settled
        if uids:
            self.mailbox.delete(*uids, folder=FOLDER)

    def made_anew(self) -> None:
        """The folder is restored with its mails, each with its time of arrival."""
        mails = [self.present[uid] for uid in sorted(self.present)]
        self.mailbox.recreate(FOLDER)
        self.present = {}
        for mail in mails:
            self._put(mail)

    def flagged(self) -> None:
        """Somebody reads; no event."""
        if self.present:
            self.mailbox.client.select_folder(FOLDER)
            self.mailbox.client.add_flags(sorted(self.present), [b"\\Seen"])
            self.mailbox.client.unselect_folder()

    def all_was_read(self) -> None:
        self.settled |= {mail.number for mail in self.due} - self.unsure

    def _put(self, mail: Written) -> None:
        answer = self.mailbox.client.append(FOLDER, mail.raw, (), mail.at)
        uid = int(answer.partition(b"APPENDUID")[2].split()[1].rstrip(b"]"))
        self.present[uid] = mail


@contextmanager
def mailbox_of(server: ImapServer) -> Iterator[Mailbox]:
    user = f"h{uuid4().hex[:12]}@example.com"
    with IMAPClient(server.host, server.port, ssl=False) as client:
        client.login(user, PASSWORD)
        client.create_folder(FOLDER)
        yield Mailbox(server, user, client)


@contextmanager
def way_to(server: ImapServer) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    proxy.up()
    try:
        yield proxy
    finally:
        proxy.is_closing = True
        proxy.down()


def told(driver: Driver, name: str) -> list[Told]:
    """What was taken in for an item. A mail without an id has one of ours as its thread."""
    items = {WORK.name: WORK.id, THREAD.name: THREAD.id}
    found = []
    for event in driver.intake.events:
        message = event.payload
        if event.item_id == items[name] and isinstance(message, MessagePosted) and message.mail is not None:
            thread = "" if event.subject.startswith("mail:") else event.subject
            trusted = message.mail.is_authenticated and message.mail.is_allowed
            found.append((message.subject or "", message.text, thread, trusted))
    return found


def expected(history: History, is_in: Callable[[Written], bool], seen: list[Told]) -> list[Told]:
    """What has to be told: everything that was due; what was taken away early only if it was seen."""
    texts = {text for _, text, _, _ in seen}
    return [
        mail.told
        for mail in history.due
        if is_in(mail) and (mail.number not in history.unsure or f"text {mail.number}" in texts)
    ]


STEPS = st.lists(
    st.sampled_from(
        ["new"] * 6 + ["read"] * 5 + ["taken_away"] * 2 + ["burst", "copied", "made_anew", "flagged"]
    ),
    min_size=4,
    max_size=25,
)


@histories
@given(STEPS, st.integers(0, 2**32), st.integers(0, 60))
def test_each_mail_is_told_once_in_order(imap_server: ImapServer, steps: list[str], seed: int, before: int):
    dice, clock = random.Random(seed), FakeClock(NOON + timedelta(days=400))
    with mailbox_of(imap_server) as mailbox, way_to(imap_server) as way:
        history = History(mailbox, dice)
        for _ in range(before):
            history.arrive()
        client = mail_client(mailbox, clock, port=way.port)
        driver = driver_of(mailbox, clock, WORK, THREAD, client=client)
        driver.settle()
        driver.deaths = Deaths(dice, chance=0.25)
        driver.pages_per_tick = 2
        for step in steps:
            if step != "read":
                getattr(history, step)()
                continue
            if dice.random() < 0.5:
                way.cut_at(dice.randint(1, 12), is_delivered=dice.random() < 0.5)
            if driver.tick():
                history.all_was_read()
            way.up()
        driver.settle()
        seen = told(driver, WORK.name)
        assert seen == expected(history, lambda _: True, seen)
        seen = told(driver, THREAD.name)
        root = "root@example.com"
        assert seen == expected(history, lambda mail: mail.thread == root, seen)
        assert not driver.intake.dead_letters
        assert not driver.intake.unreadable
