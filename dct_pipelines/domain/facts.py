"""What events and states are made of: people, commits, and what a comment or a mail belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """An immutable piece of data."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(Fact):
    """Somebody as the provider names them. Free text (a commit's author) is never proof of who acted."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    is_bot: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every non-empty name, casefolded, that a condition may call this person by."""
        return frozenset(text.casefold() for text in (self.id, self.name, self.email) if text)

    def __str__(self) -> str:
        return self.name or self.email or self.id or "somebody"


class Commit(Fact):
    """One commit, with its message cut to a bound by the listener."""

    oid: str
    author: Person
    message: str
    committed_at: datetime


class TicketRef(Fact):
    """The ticket that an event is about, as it was called when the event was read.

    `id` never changes; a key does when the ticket moves to another project.
    """

    id: str
    key: str
    title: str = ""
    project: str = ""
    url: str | None = None


class RequestRef(Fact):
    """The pull (merge) request that an event is about."""

    number: int
    title: str = ""
    source: str = ""
    target: str = ""
    url: str | None = None


class MailTrust(Fact):
    """What is known about the sender of a mail: `From` itself is free text that anybody can write.

    `because` says in words what was believed and why. See docs/reference/listeners.md, `mail`.
    """

    is_authenticated: bool
    """Our own receiving host vouches for the sender's domain (DMARC, or an aligned DKIM signature)."""
    is_allowed: bool
    """The sender is in the allow-list of the item."""
    is_automatic: bool
    """Sent by a program: a list, an out-of-office note, a bounce, or ourselves."""
    because: str

    @property
    def is_trusted(self) -> bool:
        """Whether it may start work that has side effects."""
        return self.is_authenticated and self.is_allowed and not self.is_automatic


class Approval(Fact):
    """The latest opinion of one reviewer about one head of a pull request."""

    user: Person
    head: str
    state: Literal["approved", "changes_requested", "dismissed", "commented"]
    may_approve: bool = True
    """False where the provider says that this reviewer's approval does not count (no write access)."""
