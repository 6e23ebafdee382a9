"""One evaluation: what is seen becomes incidents and the messages about them, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from dct_pipelines.domain.alerts import AlertMessage, MessageKind, groups, subject_of, text_of
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.incidents import LEFT_ALONE, Incident, IncidentState, Step, judge
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.alerts.looking import Look
from dct_pipelines.engine.alerts.rules import Rules
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store import incidents as store
from dct_pipelines.store.database import Connection, Database

log = logging.getLogger(__name__)
TOLD = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})


@dataclass
class Evaluation:
    """What one evaluation found. `stuck`: what of the engine itself does not work, in sentences.

    `live` are the incidents that are not resolved; None when another process evaluates at this moment.
    `channels` are, by incident that opened, those that hear of it besides the others.
    """

    opened: list[Incident] = field(default_factory=list)
    resolved: list[Incident] = field(default_factory=list)
    live: list[Incident] | None = None
    stuck: tuple[str, ...] = ()
    channels: dict[UUID, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.live is None:
            return "another process evaluates"
        told = counted(len(self.live), "incident") if self.live else "no incident"
        new = f", {len(self.opened)} new" if self.opened else ""
        over = f", {len(self.resolved)} resolved" if self.resolved else ""
        return f"{told}{new}{over}" + "".join(f"; {one}" for one in self.stuck)


@dataclass(frozen=True)
class Evaluator:
    """Looks at everything once. `destinations` are those that messages go to now.

    `of_channel` gives those of a channel that a trigger names.
    """

    database: Database
    clock: Clock
    rules: Rules
    destinations: Callable[[], Sequence[str]]
    of_channel: Callable[[str], Sequence[str]]
    kept: timedelta

    def evaluate(self) -> Evaluation:
        """Open, keep and resolve incidents; what people have to hear is committed with it."""
        now = self.clock.now()
        with self.database.connect() as connection:
            seen = self.rules.look(connection, now)
        destinations = self.destinations()
        own = {name: self.of_channel(name) for sign in seen.signs for name in sign.channels}
        done = Evaluation(stuck=tuple(seen.stuck))
        with self.database.begin() as connection:
            if not store.lock(connection):
                return done
            self._apply(connection, seen, now, done)
            told = [*beginnings(done, destinations, own, now), *endings(connection, done.resolved, now)]
            outbox.put(connection, told)
            store.prune(connection, now - self.kept)
            outbox.prune(connection, now - self.kept)
            done.live = [one for one in store.live(connection) if one.state in TOLD]
        for incident in done.opened:
            log.error("%s", text_of(MessageKind.OPENED, [incident]))
        for incident in done.resolved:
            log.warning("%s", text_of(MessageKind.RESOLVED, [incident]))
        return done

    def _apply(self, connection: Connection, seen: Look, now: datetime, done: Evaluation) -> None:
        signs_by = {(sign.rule.value, sign.subject): sign for sign in seen.signs}
        live_by = {(one.rule.value, one.subject): one for one in store.live(connection)}
        left_alone = store.resolved_by_hand(connection, now - LEFT_ALONE)
        calm: list[UUID] = []
        over: list[UUID] = []
        forgotten: list[UUID] = []
        for key in signs_by.keys() | live_by.keys():
            sign, live = signs_by.get(key), live_by.get(key)
            rule = sign.rule if sign is not None else live_by[key].rule
            if sign is None and rule in seen.blind:
                continue
            step = judge(self.rules.pace.of(rule, key[1]), sign, live, now)
            if sign is not None and key not in left_alone and step in (Step.OPEN, Step.SUSPECT):
                is_open = step is Step.OPEN
                state = IncidentState.OPEN if is_open else IncidentState.SUSPECTED
                incident = store.write(connection, sign, state, now)
                if is_open:
                    done.opened.append(incident)
                    done.channels[incident.id] = sign.channels
            elif sign is not None and live is not None and step is Step.KEEP:
                store.keep(connection, live, sign, now)
            elif live is not None:
                ends = {Step.CALM: calm, Step.RESOLVE: over, Step.FORGET: forgotten}
                ends.get(step, []).append(live.id)
        store.calm(connection, calm, now)
        store.forget(connection, forgotten)
        done.resolved += store.resolve(connection, over, now)
        for found in (done.opened, done.resolved):
            found.sort(key=lambda one: (one.rule, one.subject))


def beginnings(
    done: Evaluation, destinations: Sequence[str], own: Mapping[str, Sequence[str]], now: datetime
) -> Iterator[tuple[AlertMessage, list[UUID]]]:
    """What tells that incidents opened: everybody of all, and the channels of a trigger of its own."""
    audiences = {destination: list(done.opened) for destination in destinations}
    for incident in done.opened:
        concerned = {one for name in done.channels[incident.id] for one in own[name]}
        for destination in sorted(concerned.difference(destinations)):
            audiences.setdefault(destination, []).append(incident)
    for destination, incidents in audiences.items():
        for together in groups(incidents):
            yield message(MessageKind.OPENED, destination, together, now)


def endings(
    connection: Connection, resolved: Sequence[Incident], now: datetime
) -> Iterator[tuple[AlertMessage, list[UUID]]]:
    """What tells that these are over: to whom their beginning was told, and to nobody else."""
    heard = outbox.destinations_of(connection, store.ids(resolved)) if resolved else {}
    for destination in sorted({one for names in heard.values() for one in names}):
        concerned = [one for one in resolved if destination in heard.get(one.id, ())]
        for together in groups(concerned):
            yield message(MessageKind.RESOLVED, destination, together, now)


def message(
    kind: MessageKind, destination: str, about: Sequence[Incident], now: datetime
) -> tuple[AlertMessage, list[UUID]]:
    """A new message and the incidents that it is about."""
    keys = {"id", "rule", "subject", "state", "group", "text", "figures", "opened_at", "resolved_at"}
    made = AlertMessage(
        id=uuid4(),
        kind=kind,
        destination=destination,
        subject=subject_of(kind, about),
        text=text_of(kind, about),
        at=now,
        incidents=tuple(one.model_dump(mode="json", include=keys) for one in about),
    )
    return made, store.ids(about)
