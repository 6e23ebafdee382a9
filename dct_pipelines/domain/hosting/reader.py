"""What a listener asks of a git host about one repository: its pull requests, and checks of commits.

Everything that git itself can tell (branches, tags, commits, merges) is read by git beside it, which costs
no calls of the host's interface. Errors of every method: `ConnectionDown` (`Throttled`), `CredentialRefused`,
`ItemUnreadable`, `ItemTemporarilyUnreadable`. What could not be read is never an empty answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dct_pipelines.domain.connected import ConnectionPort
from dct_pipelines.domain.facts import Approval, Person
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.hosting.port import CodeHostPort
from dct_pipelines.domain.listener import DeadLetter
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.words import CheckState


@dataclass(frozen=True, slots=True)
class HostedCheck:
    """The latest result of one named check on a commit."""

    state: CheckState
    url: str | None = None


@dataclass(frozen=True, slots=True)
class HostedComment:
    """Something that somebody wrote below a pull request: a comment, one on a line, or a review's text.

    `id` is unique in the repository whatever the comment's sort, e.g. `issuecomment-17`. `updated` is the
    provider's word for when it was last written. `edited_at` is None where it never was or nobody knows.
    """

    id: str
    author: Person
    text: str
    created_at: datetime
    updated: str
    edited_at: datetime | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Retitling:
    """One change of a title, where the host keeps a history of them."""

    id: str
    before: str
    after: str
    at: datetime
    actor: Person | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedState:
    """A pull (merge) request, whole. Times are the host's.

    `approvals`: the latest opinion of each reviewer (`latest_opinions`), dismissed ones included; `head` of
    each is the commit that it was given for, "" when that is not known. `comments` is complete (all pages),
    unless `comments_complete` is false because one of them could not be understood.
    """

    number: int
    title: str
    description: str
    source: str
    target: str
    head: str
    is_open: bool
    is_draft: bool
    is_merged: bool
    url: str
    author: Person
    created_at: datetime
    updated: str
    """The provider's word for when it was last changed, as in `Listed`."""
    updated_at: datetime
    approvals: tuple[Approval, ...] = ()
    comments: tuple[HostedComment, ...] = ()
    comments_complete: bool = True
    is_from_fork: bool = False
    """Whether its source is a branch of another repository, where other people may write."""
    retitlings: tuple[Retitling, ...] | None = None
    """The latest changes of the title in their order; None where the host keeps no history."""
    retitled: int = 0
    """How many changes of the title there were in all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A pull request as a list names it."""

    number: int
    updated: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list. `cursor` asks for the next one; None: that was all.

    `as_of` is the host's own time of the answer (its Date header), else ours.
    """

    entries: tuple[Listed, ...]
    cursor: str | None
    as_of: datetime
    letters: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class Requests:
    """Pull requests that were asked for. `missing`: number → why that one could not be read."""

    states: tuple[HostedState, ...]
    missing: Mapping[int, str]
    letters: tuple[DeadLetter, ...] = ()
    """Parts that could not be understood, raw."""


class HostReader(Protocol):
    """One repository of a git host."""

    def changed(self, since: datetime, cursor: str | None) -> Listing:
        """Pull requests, open or not, updated at or after `since`, at most 50 a page.

        One that is updated while pages are read may come twice or not at all (it comes the next time);
        it must not make another one be left out. Mind offsets: count from what was seen last instead.
        """

    def open(self, cursor: str | None) -> Listing:
        """Open pull requests, the oldest first, at most 50 a page."""

    def requests(self, numbers: Sequence[int]) -> Requests:
        """These pull requests, whole, in as few calls as the host allows (at most 50 are asked for)."""

    def checks(self, commits: Collection[str]) -> Mapping[str, Mapping[str, HostedCheck]]:
        """Checks of these commits (at most 100), by commit and name; {} where there are none.

        A commit is left out when its checks could not be read this time.
        """


@dataclass(frozen=True, slots=True)
class HostedRepository:
    """The port of a host's listener: one repository, by git and by the host's interface."""

    git: RepositoryReader
    host: HostReader


class HostClient(ConnectionPort, CodeHostPort, Protocol):
    """The client of a git host's connection. `location` is an item's: a URL below the connection's base."""

    def reader(self, location: str) -> HostReader:
        """The repository of an item (also of one that is a pull request), as the host tells of it."""

    def repository_ref(self, location: str) -> RepositoryRef:
        """How git reaches that repository, with a credential that git understands."""
