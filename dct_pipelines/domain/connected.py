"""What the core asks of a connection, whatever its provider: a check, a look at an item, its call budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from dct_pipelines.domain.hosting.port import CodeHostPort
from dct_pipelines.domain.tracking.port import TrackerPort
from dct_pipelines.domain.words import ItemKind


class CallBudget(Protocol):
    """Counts the calls of one credential, shared by all processes.

    `bucket` is what the provider counts apart: a method, a family of endpoints. Raises `Throttled` when the
    calls of this minute are used up, or while the provider told us to wait.
    """

    def take(self, bucket: str, limit_per_minute: int | None = None) -> None:
        """Count one call before it is made, or say until when there is none left."""

    def told(
        self,
        bucket: str,
        *,
        remaining: int | None = None,
        resets_at: datetime | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Remember what the provider said: calls that are left until `resets_at`, or to wait."""


@dataclass(frozen=True)
class Endpoint:
    """Everything a client has to know about a connection.

    `credential` reads the secret anew at each call; `renew` says that it was refused, so that the next read
    does not come from memory.
    """

    connection_id: UUID
    name: str
    kind: str
    base: str
    config: Mapping[str, Any]
    credential: Callable[[], str] | None
    allow_private_network: bool
    budget: CallBudget
    renew: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Finding:
    """One line of a connection's check: `what` was looked at (`account`, `permissions`, `clock`, ...)."""

    what: str
    is_ok: bool
    said: str


class ConnectionPort(Protocol):
    """What every client of a connection can do besides what its listener and actions need."""

    def check(self) -> tuple[Finding, ...]:
        """Who we are there, what we may do, how far its clock is off, which calls are left.

        Connection-wide errors are raised.
        """

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """Say in a few words what is at a location, or raise why nothing can be read there."""


@dataclass(frozen=True)
class CredentialEnd:
    """What a provider says of the end of a credential: `at`, or None where it has none or tells none."""

    at: datetime | None


@runtime_checkable
class TellsCredentialEnd(Protocol):
    """What a client does besides, where its provider tells when the credential ends."""

    def credential_end(self, *, is_due: bool) -> CredentialEnd | None:
        """Ask the provider, if that is due or the secret has become another one; None: it was not asked.

        Called after each read, so that it must cost nothing otherwise.
        """


@dataclass(frozen=True)
class ItemFacts:
    """A context item as actions need it: what it is, where, and the connection that it is read through."""

    id: UUID
    name: str
    kind: ItemKind
    location: str
    connection: str | None


class ConnectionsPort(Protocol):
    """The connections as actions use them, by name. `NotFound` names the nearest connection of the kind."""

    def tracker(self, connection: str) -> TrackerPort:
        """The ticket tracker of that connection."""

    def code_host(self, connection: str) -> CodeHostPort:
        """The git host of that connection."""
