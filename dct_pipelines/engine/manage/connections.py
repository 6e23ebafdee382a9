"""Connections as their operators see them: checked, how they stand, what could not be understood, paused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain.connected import Finding
from dct_pipelines.domain.errors import DctError, NotFound, NotPermitted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.roles import define_fault
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.credential_ends import CredentialEnds
from dct_pipelines.engine.manage.probe import Clients
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.store.budgets import Spent, account_of, spent
from dct_pipelines.store.database import Connection, Database, Row
from dct_pipelines.store.definitions import people
from dct_pipelines.store.definitions.shelves import SHELVES, Stored
from dct_pipelines.store.watching import letters, standing
from dct_pipelines.store.watching.letters import StoredLetter


@dataclass(frozen=True)
class Standing:
    """How a connection stands. `lag_seconds` is how long ago the last complete read was; None: never."""

    name: str
    kind: str
    base: str
    state: str
    """Its health, or `paused`."""
    detail: str | None
    lag_seconds: float | None
    next_due_at: datetime | None
    items: int
    unreadable: int
    letters: int
    buckets: tuple[Spent, ...]

    @property
    def calls(self) -> int:
        """Calls of its credential in this minute."""
        return sum(one.calls for one in self.buckets)

    @property
    def calls_before(self) -> int:
        """Calls of its credential in the minute before."""
        return sum(one.calls_before for one in self.buckets)

    def left(self) -> str:
        """What is left of the budget, in words: what we allow ourselves, and what the provider says."""
        said = []
        for one in self.buckets:
            if one.not_before is not None:
                said.append(f"{one.bucket}: none until {one.not_before:%H:%M:%S}")
            elif one.remaining is not None and one.resets_at is not None:
                said.append(f"{one.bucket}: {one.remaining} until {one.resets_at:%H:%M:%S}")
            elif one.limit_per_minute is not None:
                said.append(f"{one.bucket}: {max(one.limit_per_minute - one.calls, 0)} this minute")
        return ", ".join(said)


@dataclass(frozen=True)
class ConnectionService:
    """Answers for connections, and switches them on and off."""

    database: Database
    clock: Clock
    clients: Clients
    ends: CredentialEnds | None = None

    def check(self, spec: Mapping[str, Any]) -> tuple[Finding, ...]:
        """What the provider says to a connection as its manifest has it, stored or not. Raises nothing.

        Of one that is stored it is kept when its credential ends.
        """
        try:
            client = self.clients.candidate(spec)
            findings = client.check()
            if self.ends is not None:
                self.ends.after_check(client, str(spec["name"]), spec.get("credential"))
        except DctError as error:
            return (Finding("connection", False, str(error)),)
        return findings

    def standings(self) -> list[Standing]:
        """Every connection, by name."""
        now = self.clock.now()
        with self.database.connect() as connection:
            return [_standing(connection, row, now) for row in standing.standings(connection)]

    def letters(self, name: str) -> list[StoredLetter]:
        """What came from that connection and could not be understood, the newest first."""
        with self.database.connect() as connection:
            return letters.of_connection(connection, _find(connection, name).id)

    def discard(self, name: str, chosen: Sequence[str], by: str) -> int:
        """Forget letters by their ids or the beginnings of them; how many there were."""
        with self.database.begin() as connection:
            found = _permitted(connection, name, by)
            known = [one.id for one in letters.of_connection(connection, found.id)]
            ids = []
            for wanted in chosen:
                meant = [one for one in known if str(one).startswith(wanted.lower())]
                if len(meant) != 1:
                    raise NotFound(
                        f"{len(meant) or 'no'} letters of {name} have an id that begins with {wanted!r}; "
                        f"see `dct connection letters {name}`"
                    )
                ids += meant
            count = letters.discard(connection, found.id, ids)
            detail = {"letters": [str(one) for one in ids]}
            people.audit(connection, by, "discard", Kind.CONNECTION.value, name, detail)
        return count

    def switch(self, names: Sequence[str], by: str, *, is_enabled: bool) -> list[str]:
        """Pause or resume connections; the names of those that were otherwise.

        Resuming also ends the pause that a failure earned: whoever has corrected something need not wait.
        """
        switched = []
        with self.database.begin() as connection:
            for name in dict.fromkeys(names):
                found = _permitted(connection, name, by)
                waits = is_enabled and found.state["not_before"] is not None
                if found.state["is_enabled"] is is_enabled and not waits:
                    continue
                standing.switch(connection, found.id, is_enabled=is_enabled, now=self.clock.now())
                people.audit(
                    connection, by, "resume" if is_enabled else "pause", Kind.CONNECTION.value, name, {}
                )
                switched.append(name)
        return switched


def _find(connection: Connection, name: str) -> Stored:
    shelf = SHELVES[Kind.CONNECTION]
    found = shelf.find(connection, name)
    if found is None:
        known = frozenset(shelf.names(connection))
        raise NotFound(f"there is no connection {name!r}; {registry.nearest(name, known)}")
    return found


def _permitted(connection: Connection, name: str, by: str) -> Stored:
    if message := define_fault(load(connection).role(by), Kind.CONNECTION):
        raise NotPermitted(message)
    return _find(connection, name)


def _standing(connection: Connection, row: Row[Any], now: datetime) -> Standing:
    base = registry.base_of(row.kind, row.config)
    account = account_of(row.kind, base, row.credential_ref)
    waits = [moment for moment in (row.next_due_at, row.not_before) if moment is not None]
    return Standing(
        name=row.name,
        kind=row.kind,
        base=base,
        state=row.health if row.is_enabled else "paused",
        detail=row.health_detail,
        lag_seconds=(now - row.read_up_to).total_seconds() if row.read_up_to is not None else None,
        next_due_at=max(waits) if waits and row.is_enabled else None,
        items=row.items,
        unreadable=row.unreadable,
        letters=row.letters,
        buckets=tuple(spent(connection, account, now)),
    )
