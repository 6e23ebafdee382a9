"""Answers what was carried out: executions with their actions and attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dct_pipelines.domain.errors import InvalidInput, NotFound
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.registry import nearest
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import listing

SHORTEST_PREFIX = 4


def is_id(text: str) -> bool:
    """Whether it could be an id, or the first digits of one."""
    return len(text) >= SHORTEST_PREFIX and not set(text.lower()) - set("0123456789abcdef-")


@dataclass(frozen=True)
class History:
    """Reads executions; changes none."""

    database: Database

    def latest(
        self, *, status: ExecutionState | None = None, trigger: str | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """The latest executions as plain data, newest first. NotFound if no trigger was ever called so."""
        with self.database.connect() as connection:
            wanted = status.value if status is not None else None
            found = listing.latest(connection, status=wanted, trigger=trigger, limit=limit)
            if (
                not found
                and trigger is not None
                and trigger not in (known := listing.trigger_names(connection))
            ):
                raise NotFound(f"there is no trigger {trigger!r}; {nearest(trigger, known)}")
            return found

    def show(self, execution_id: UUID) -> dict[str, Any]:
        """One execution with its actions and attempts."""
        with self.database.connect() as connection:
            found = listing.show(connection, execution_id)
        if found is None:
            raise NotFound(f"there is no execution {execution_id}; `dct execution list` shows the latest")
        return found

    def execution_id(self, text: str) -> UUID:
        """The id that `text` is or begins, as lists show it."""
        return self._resolved("execution", text)

    def event_id(self, text: str) -> UUID:
        """The id of an event that `text` is or begins."""
        return self._resolved("event", text)

    def _resolved(self, what: str, text: str) -> UUID:
        if not is_id(text):
            raise InvalidInput(f"{text!r} is not the id of an {what}; give {SHORTEST_PREFIX} digits or more")
        with self.database.connect() as connection:
            found = listing.with_prefix(connection, what, text)
        if len(found) > 1:
            raise InvalidInput(f"more than one {what} begins with {text!r}; give more digits")
        if not found:
            raise NotFound(f"there is no {what} whose id begins with {text!r}")
        return found[0]
