"""What is asked of a chat: its channels, what was said in them, and in threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from dct_pipelines.domain.errors import ConnectionDown


@dataclass(frozen=True)
class ChatChannel:
    """A channel. `created` is the ts of its beginning; `link` is where the workspace is, for people."""

    id: str
    name: str
    created: str
    link: str


@dataclass(frozen=True)
class RawPage:
    """Messages as they came, and where more are; None when there are no more."""

    messages: tuple[Any, ...]
    cursor: str | None


class ChatPort(Protocol):
    """The chat as listeners read it. Bounds are ts and exclusive."""

    def channel(self, written: str) -> ChatChannel:
        """The channel of an id or a `#name`; `ItemUnreadable` says what to do when there is none."""

    def history(self, channel: str, *, oldest: str | None, latest: str | None, cursor: str | None) -> RawPage:
        """Messages of the channel without those of threads, the newest first."""

    def replies(self, channel: str, root: str, *, oldest: str | None, cursor: str | None) -> RawPage:
        """The messages of a thread, the oldest first; its first message may be there whatever the bounds."""


class Asker(Protocol):
    """Asks for the page at a cursor."""

    def __call__(self, cursor: str | None) -> RawPage: ...


def every_page(ask: Asker) -> Iterator[RawPage]:
    """Pages until there are no more; a provider that names a cursor twice would be asked for ever."""
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = ask(cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        if cursor in seen:
            raise ConnectionDown("the provider named the same page twice; it is tried again")
        seen.add(cursor)
