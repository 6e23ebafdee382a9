"""Reading a mailbox: the folders that items watch, each from its cursor on, a bounded page at a time.

A folder in which nothing happened costs one question. The token moves with every page, so that a read that
is cut off goes on behind the last page that was stored. Equal keys make a repeat harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.listener import ItemReading, Page, ReadContext, WatchedConnection, WatchedItem
from dct_pipelines.domain.mail.message import thread_of, understood
from dct_pipelines.domain.mail.page import MailPage, Watcher
from dct_pipelines.domain.mail.port import (
    FETCHED_BYTES,
    PAGE_SIZE,
    FetchedMail,
    FolderState,
    MailPort,
    MailRow,
)
from dct_pipelines.domain.mail.rules import MailConnection, folder_of, message_id_of
from dct_pipelines.domain.mail.token import OVERLAP_UIDS, FolderCursor, ItemToken, MailToken, numbers
from dct_pipelines.domain.words import ItemKind

PAGE_BYTES = 8 * 1024 * 1024
RESYNC_OVERLAP = timedelta(days=1)
"""A folder whose UIDs are new is read again from so long before its newest mail that we knew."""


def read_mailbox(connection: WatchedConnection, context: ReadContext, port: MailPort) -> Iterator[Page]:
    """Pages of every folder that is watched; a folder that cannot be read stops no other."""
    config = MailConnection.model_validate(connection.config)
    by_folder: dict[str, list[WatchedItem]] = {}
    for item in connection.items:
        by_folder.setdefault(folder_of(item), []).append(item)
    token = MailToken.model_validate(connection.token)
    watched = {name: cursor for name, cursor in token.folders.items() if name in by_folder}
    unreadable = tuple(name for name in token.unreadable if name in by_folder)
    token = MailToken(folders=watched, unreadable=unreadable)
    for place, (folder, items) in enumerate(sorted(by_folder.items())):
        is_last_folder = place == len(by_folder) - 1
        reading = FolderReading(folder, items, config, context, port, token, is_last_folder)
        yield from reading.pages()
        token = reading.token


class FolderReading:
    """One folder's pages. `token` is the whole connection's, as the last page stored it."""

    def __init__(
        self,
        folder: str,
        items: Sequence[WatchedItem],
        config: MailConnection,
        context: ReadContext,
        port: MailPort,
        token: MailToken,
        is_last_folder: bool,
    ) -> None:
        self.token = token
        self._folder = folder
        self._items = items
        self._config = config
        self._context = context
        self._port = port
        self._is_last_folder = is_last_folder

    def pages(self) -> Iterator[Page]:
        """What is new; or one page that says why nothing can be read."""
        try:
            yield from self._pages()
        except ItemUnreadable as error:
            yield self._unreadable(str(error))

    def _pages(self) -> Iterator[Page]:
        state = self._port.state(self._folder)
        known = self.token.folders.get(self._folder)
        start = _Start(self._folder, self._port, state, self._context.now)
        watchers = [self._watcher(item, start) for item in self._items]
        cursor = start.cursor if known is None else known
        if cursor.validity != state.uid_validity:
            cursor = _anew(cursor, state, watchers)
        if cursor.is_drained(state):
            yield self._page(MailPage(self._folder, watchers, self._context.now), cursor, is_drained=True)
            return
        while True:
            page = MailPage(self._folder, watchers, self._context.now)
            cursor, is_drained = self._read_on(cursor, state, page, start)
            yield self._page(page, cursor, is_drained=is_drained)
            if is_drained:
                return

    def _watcher(self, item: WatchedItem, start: _Start) -> Watcher:
        """An item that is read for the first time takes its folder as it is."""
        token = ItemToken.model_validate(item.token) if item.token else None
        is_new = token is None or (token.folder, token.location) != (self._folder, item.location)
        if token is None or is_new:
            token = start.item_token.model_copy(update={"location": item.location})
            if item.kind is ItemKind.EMAIL_THREAD:
                token = token.model_copy(update={"root": self._root(item)})
        return Watcher(item, token, self._config, is_new)

    def _root(self, item: WatchedItem) -> str:
        message_id = message_id_of(item)
        raw = self._port.headers_of(self._folder, message_id)
        return message_id if raw is None else thread_of(raw, message_id)

    def _read_on(
        self, cursor: FolderCursor, state: FolderState, page: MailPage, start: _Start
    ) -> tuple[FolderCursor, bool]:
        first = max(1, cursor.uid - OVERLAP_UIDS + 1)
        rows = self._port.rows(self._folder, cursor.validity, first, cursor.resync_since)
        new = _bounded([row for row in rows if row.uid not in cursor.seen])
        for fetched in self._port.fetch(self._folder, cursor.validity, new) if new else ():
            page.add(fetched, cursor.validity)
        newest = _newest(cursor.newest, new, self._context.now)
        done = [row.uid for row in rows if row.uid in cursor.seen or row in new]
        cursor = cursor.with_seen(done).model_copy(update={"newest": newest})
        if len(rows) >= PAGE_SIZE or len(done) < len(rows):
            return cursor.model_copy(update={"state": None}), False
        if cursor.is_resync:
            cursor = start.cursor.model_copy(update={"newest": newest})
            page.begin_anew(cursor.validity, cursor.uid)
        return cursor.model_copy(update={"state": numbers(state)}), True

    def _page(self, page: MailPage, cursor: FolderCursor, *, is_drained: bool) -> Page:
        folders = {**self.token.folders, self._folder: cursor}
        rest = tuple(name for name in self.token.unreadable if name != self._folder)
        if len(rest) < len(self.token.unreadable):
            page.is_readable_again()
        self.token = MailToken(folders=folders, unreadable=rest)
        return page.built(self.token.stored(), is_last=is_drained and self._is_last_folder)

    def _unreadable(self, why: str) -> Page:
        names = tuple(sorted({*self.token.unreadable, self._folder}))
        self.token = self.token.model_copy(update={"unreadable": names})
        readings = tuple(ItemReading(item.id, item.token, why) for item in self._items)
        stored = self.token.stored()
        return Page(item_id=None, token=stored, readings=readings, is_last=self._is_last_folder)


@dataclass
class _Start:
    """A folder as it is now, for whoever begins to read it now. Asked of the server only when needed."""

    folder: str
    port: MailPort
    state: FolderState
    now: datetime
    _rows: Sequence[MailRow] | None = None
    _token: ItemToken | None = None

    @property
    def cursor(self) -> FolderCursor:
        """Behind every mail that is there."""
        last = self.state.uid_next - 1
        cursor = FolderCursor(validity=self.state.uid_validity, uid=last)
        found: dict[str, Any] = {
            "newest": _newest(None, self.rows, self.now),
            "state": numbers(self.state),
        }
        return cursor.with_seen(row.uid for row in self.rows).model_copy(update=found)

    @property
    def item_token(self) -> ItemToken:
        """The same for an item."""
        if self._token is None:
            since = max((row.received_at for row in self.rows), default=None)
            same = [row for row in self.rows if row.received_at == since]
            fetched = self.port.fetch(self.folder, self.state.uid_validity, same) if same else ()
            keys = [understood(mail, self.now).key for mail in fetched if isinstance(mail, FetchedMail)]
            self._token = ItemToken(
                folder=self.folder,
                validity=self.state.uid_validity,
                uid=self.state.uid_next - 1,
                since=since,
                before=tuple(keys),
            )
        return self._token

    @property
    def rows(self) -> Sequence[MailRow]:
        """The last mails that are there."""
        if self._rows is None:
            last = self.state.uid_next - 1
            first = max(1, last - OVERLAP_UIDS + 1)
            found = self.port.rows(self.folder, self.state.uid_validity, first, None) if last else ()
            self._rows = [row for row in found if row.uid <= last]
        return self._rows


def _newest(known: datetime | None, rows: Sequence[MailRow], now: datetime) -> datetime | None:
    """A mail that says to be from the future is from now: it must not hide those that follow."""
    times = [min(row.received_at, now) for row in rows]
    return max(times if known is None else [known, *times], default=None)


def _bounded(rows: Sequence[MailRow]) -> Sequence[MailRow]:
    """As many of the first ones as fit into one page's bytes, but one at least."""
    total = 0
    for place, row in enumerate(rows):
        total += min(row.size, FETCHED_BYTES)
        if place and total > PAGE_BYTES:
            return rows[:place]
    return rows


def _anew(cursor: FolderCursor, state: FolderState, watchers: Sequence[Watcher]) -> FolderCursor:
    """The UIDs that we know mean nothing any more: the mails of the last time are read again."""
    begins = [watcher.token.since for watcher in watchers if not watcher.is_new]
    known = [begin for begin in begins if begin is not None]
    earliest = min(known) if known and len(known) == len(begins) else None
    since = earliest
    if cursor.newest is not None:
        near = cursor.newest - RESYNC_OVERLAP
        since = near if earliest is None else max(earliest, near)
    return FolderCursor(
        validity=state.uid_validity, uid=0, newest=cursor.newest, resync_since=since, is_resync=True
    )
