"""Snapshots in memory, as conditions (`SnapshotView`) and listeners (`SnapshotReader`) see them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.snapshot import Snapshot, State
from tests.fakes.ports import NOON


class FakeSnapshots:
    """The current snapshots of any number of items."""

    def __init__(self) -> None:
        self.current: dict[UUID, dict[str, Snapshot]] = {}
        self.reads = 0
        """How often all states of an item were asked for."""

    def put(self, item_id: UUID, subject: str, state: State, observed_at: datetime = NOON) -> None:
        """Set one state."""
        self.store([Snapshot(item_id=item_id, subject=subject, state=state, observed_at=observed_at)])

    def store(self, new: Iterable[Snapshot]) -> None:
        """Replace states by newer ones."""
        for snapshot in new:
            self.current.setdefault(snapshot.item_id, {})[snapshot.subject] = snapshot

    def remove(self, item_id: UUID, subjects: Iterable[str]) -> None:
        """Forget subjects that are gone."""
        for subject in subjects:
            self.current.get(item_id, {}).pop(subject, None)

    def states(self, item_id: UUID) -> Mapping[str, State]:
        self.reads += 1
        return {subject: snapshot.state for subject, snapshot in self.current.get(item_id, {}).items()}

    def of_subjects(self, subjects: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], State]:
        known = {(item, name): self.current.get(item, {}).get(name) for item, name in subjects}
        return {key: snapshot.state for key, snapshot in known.items() if snapshot is not None}

    def below(self, item_id: UUID, prefix: str) -> Mapping[str, State]:
        own = self.current.get(item_id, {}).items()
        return {subject: snapshot.state for subject, snapshot in own if subject.startswith(prefix)}

    def of_subject(self, item_id: UUID, subject: str) -> Snapshot | None:
        return self.current.get(item_id, {}).get(subject)

    def of_item(self, item_id: UUID, state_kinds: frozenset[str]) -> Iterable[Snapshot]:
        snapshots = sorted(self.current.get(item_id, {}).values(), key=lambda snapshot: snapshot.subject)
        return [snapshot for snapshot in snapshots if snapshot.state.kind in state_kinds]
