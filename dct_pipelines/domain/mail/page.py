"""Mails become events: for each item of the folder that they concern, with what it believes of the sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import MailTrust
from dct_pipelines.domain.listener import DeadLetter, ItemReading, Page, WatchedItem
from dct_pipelines.domain.mail.message import Mail, understood
from dct_pipelines.domain.mail.port import FetchedMail, Unfetchable
from dct_pipelines.domain.mail.rules import MailConnection, MailItem, message_id_of
from dct_pipelines.domain.mail.token import ItemToken
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.snapshot import Snapshot, ThreadState
from dct_pipelines.domain.words import ItemKind


class Watcher:
    """An item of a folder, with its token as the page leaves it."""

    def __init__(
        self, item: WatchedItem, token: ItemToken, config: MailConnection, is_new: bool = False
    ) -> None:
        rules = MailItem.model_validate(item.config)
        allowed = config.allowed_senders if rules.allowed_senders is None else rules.allowed_senders
        self.item = item
        self.token = token
        self.is_new = is_new
        self.is_changed = is_new
        self._authserv_id = config.authserv_id
        self._allowed = allowed
        self._id = message_id_of(item) if item.kind is ItemKind.EMAIL_THREAD else None

    def concerns(self, mail: Mail, validity: int) -> bool:
        """Whether the mail came after the item was first read, and belongs to its thread, if it is one."""
        token = self.token
        if token.validity == validity:
            is_new = mail.uid > token.uid
        elif token.since is None:
            is_new = True
        else:
            is_new = mail.listed_at >= token.since and mail.key not in token.before
        return is_new and (self._id is None or not mail.relatives.isdisjoint({self._id, token.root}))

    def thread(self, mail: Mail) -> str:
        """The id of the thread: the item's own where it is one."""
        return self.token.root or mail.root if self._id is not None else mail.root

    def trust(self, mail: Mail) -> MailTrust:
        """What the item believes about the sender."""
        return mail.trust(self._authserv_id, self._allowed)

    def change(self, **fields: Any) -> None:
        """Change the token; the page stores it."""
        self.token = self.token.model_copy(update=fields)
        self.is_changed = True


class MailPage:
    """Collects what one page stores."""

    def __init__(self, folder: str, watchers: Sequence[Watcher], now: datetime) -> None:
        self._folder = folder
        self._watchers = watchers
        self._now = now
        self._events: list[EventDraft] = []
        self._states: dict[tuple[Any, str], Snapshot] = {}
        self._gone: set[tuple[Any, str]] = set()
        self._letters: list[DeadLetter] = []

    def add(self, fetched: FetchedMail | Unfetchable, validity: int) -> None:
        """One mail. What cannot be understood is kept raw and holds nothing else up."""
        key = f"mail:{self._folder}:{validity}:{fetched.row.uid}"
        if isinstance(fetched, Unfetchable):
            self._letters.append(DeadLetter(key, fetched.raw, fetched.why))
            return
        raw = fetched.headers.decode("utf-8", "replace")
        try:
            mail = understood(fetched, self._now)
            concerned = [watcher for watcher in self._watchers if watcher.concerns(mail, validity)]
            drafts = [self._draft(watcher, mail) for watcher in concerned]
        except Exception as error:  # noqa: BLE001 - one mail that nobody foresaw must not hold up the others
            self._letters.append(DeadLetter(key, raw, f"it could not be understood: {error!r}"))
            return
        self._events += drafts
        for watcher, draft in zip(concerned, drafts, strict=True):
            self._remember(watcher, mail, draft)
        if fetched.fault and concerned:
            self._letters.append(DeadLetter(key, raw, fetched.fault))

    def _draft(self, watcher: Watcher, mail: Mail) -> EventDraft:
        thread, trust = watcher.thread(mail), watcher.trust(mail)
        # A copy that came another way, by a list or by whoever sends it on, must not stand for the original.
        change = mail.key if trust.is_trusted else f"{mail.key}:untrusted"
        return EventDraft(
            item_id=watcher.item.id,
            subject=thread,
            dedup_key=key_of(change, watcher.item.id),
            occurred_at=mail.received_at,
            actor=mail.sender.person if trust.is_authenticated else None,
            payload=mail.posted(shown(self._folder), thread, trust),
            external_ids=(mail.message_id,),
        )

    def _remember(self, watcher: Watcher, mail: Mail, draft: EventDraft) -> None:
        """Only what a trusted person wrote becomes a state: states complete triggers that look at `all`."""
        trust = watcher.trust(mail)
        if not trust.is_trusted:
            return
        state = ThreadState(
            subject=mail.subject or None,
            last_message_id=mail.message_id,
            last_text=mail.text,
            last_author=mail.sender.person,
            in_thread=draft.subject != mail.message_id,
        )
        item_id, subject = watcher.item.id, draft.subject
        last = watcher.token.last
        if last is not None and last != subject:
            self._states.pop((item_id, last), None)
            self._gone.add((item_id, last))
        self._gone.discard((item_id, subject))
        self._states[item_id, subject] = Snapshot(
            item_id=item_id, subject=subject, state=state, observed_at=self._now
        )
        if last != subject:
            watcher.change(last=subject)

    def begin_anew(self, validity: int, uid: int) -> None:
        """A folder whose UIDs are new has been read again: its items count by the new ones."""
        for watcher in self._watchers:
            if watcher.token.validity != validity:
                watcher.change(validity=validity, uid=uid)

    def is_readable_again(self) -> None:
        """Store it for every item."""
        for watcher in self._watchers:
            watcher.is_changed = True

    def built(self, token: Mapping[str, Any], *, is_last: bool) -> Page:
        """The page."""
        readings = [
            ItemReading(watcher.item.id, watcher.token.model_dump(mode="json"))
            for watcher in self._watchers
            if watcher.is_changed
        ]
        for watcher in self._watchers:
            watcher.is_changed = False
        return Page(
            item_id=None,
            token=token,
            events=tuple(self._events),
            snapshots=tuple(self._states.values()),
            gone=tuple(self._gone),
            readings=tuple(readings),
            dead_letters=tuple(self._letters),
            is_last=is_last,
        )
