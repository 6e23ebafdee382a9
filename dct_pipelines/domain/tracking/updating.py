"""Updating a ticket: looked at first, then only what is not so yet; each write is announced and marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.tracking.marks import mark_of
from dct_pipelines.domain.tracking.port import TicketNow, TrackerPort, Transition

NOBODY = "none"


@dataclass(frozen=True)
class Wanted:
    """How a ticket is to be; what is empty is left as it is."""

    transition: str = ""
    comment: str = ""
    assignee: str = ""
    priority: str = ""
    labels_add: tuple[str, ...] = ()
    labels_remove: tuple[str, ...] = ()
    link: tuple[str, str] | None = None
    """(url, title)"""


@dataclass
class Update:
    """One update of one ticket. `did` says what was done, in words."""

    context: ActionContext
    ports: ActionPorts
    connection: str
    tracker: TrackerPort
    ticket: TicketNow
    did: list[str] = field(default_factory=list)
    comment_id: str | None = None
    status: str = ""

    @property
    def mark(self) -> str:
        """What our writes carry."""
        return mark_of(self.context.idempotency_key)

    def make(self, wanted: Wanted) -> None:
        """All that is wanted; nothing is written before all of it is known to be possible."""
        self.status = self.ticket.status
        steps = [
            *self._labels(wanted),
            *self._priority(wanted.priority),
            *self._assignee(wanted.assignee),
            *self._link(wanted.link),
            *self._transition(wanted.transition),
            *self._comment(wanted.comment),
        ]
        for step in steps:
            if self.context.is_cancelled():
                raise ActionInterrupted(f"cancelled; done so far: {', '.join(self.did) or 'nothing'}")
            step()

    def _labels(self, wanted: Wanted) -> list[Callable[[], None]]:
        there = set(self.ticket.labels)
        add = tuple(label for label in wanted.labels_add if label not in there)
        remove = tuple(label for label in wanted.labels_remove if label in there)
        for label in (*add, *remove):
            if not label or any(character.isspace() for character in label):
                raise ActionFailed(f"{label!r} cannot be a label: Jira's have no spaces")
        if not add and not remove:
            return []

        def step() -> None:
            self.tracker.change_labels(self.ticket.key, add, remove, self.mark)
            self.did.append(
                "labels " + " ".join([*(f"+{one}" for one in add), *(f"-{one}" for one in remove)])
            )

        return [step]

    def _priority(self, priority: str) -> list[Callable[[], None]]:
        if not priority or (self.ticket.priority or "").casefold() == priority.casefold():
            return []

        def step() -> None:
            self._announce(priority=priority)
            self.tracker.set_priority(self.ticket.key, priority, self.mark)
            self.did.append(f"priority {priority}")

        return [step]

    def _assignee(self, assignee: str) -> list[Callable[[], None]]:
        if not assignee:
            return []
        user: Person | None = None
        if assignee.casefold() != NOBODY:
            user = self.tracker.find_user(assignee)
        now = self.ticket.assignee
        if (now.id if now else None) == (user.id if user else None):
            return []

        def step() -> None:
            self._announce(assignee=user.name if user else None)
            self.tracker.assign(self.ticket.key, user, self.mark)
            self.did.append(f"assignee {user or 'nobody'}")

        return [step]

    def _link(self, link: tuple[str, str] | None) -> list[Callable[[], None]]:
        if link is None:
            return []
        url, title = link

        def step() -> None:
            if self.tracker.link(self.ticket.key, url, title or url, url[:255]):
                self.did.append(f"link {title or url}")

        return [step]

    def _transition(self, name: str) -> list[Callable[[], None]]:
        if not name or self.ticket.status.casefold() == name.casefold():
            return []
        if self.context.started_before and self.tracker.took(self.ticket.key, self.mark):
            return []
        transition = chosen(name, self.ticket, self.tracker.transitions(self.ticket.key))

        def step() -> None:
            self._announce(status=transition.to_status)
            self.tracker.take(self.ticket.key, transition, self.mark)
            self.status = transition.to_status
            self.did.append(f"{self.ticket.status} → {transition.to_status}")

        return [step]

    def _comment(self, text: str) -> list[Callable[[], None]]:
        if not text.strip():
            return []
        if self.context.started_before:
            there = self.tracker.find_comment(self.ticket.key, self.mark)
            if there is not None:
                self.comment_id = there.id
                return []

        def step() -> None:
            self._announce()
            self.comment_id = self.tracker.comment(self.ticket.key, text, self.mark).id
            self.did.append("a comment")

        return [step]

    def _announce(self, **changes: str | None) -> None:
        """Say what the listener will see of the next write, whichever item of the connection sees it."""
        for external_id in self.tracker.write_ids(self.ticket.id, self.mark, changes):
            self.ports.records.expect_own_write_at(self.connection, external_id)


def chosen(name: str, ticket: TicketNow, offered: tuple[Transition, ...]) -> Transition:
    """The transition of that name, else the one that leads to the status of that name."""
    wanted = name.casefold()
    named = [one for one in offered if one.name.casefold() == wanted]
    leading = [one for one in offered if one.to_status.casefold() == wanted]
    for found in (named, leading):
        if found:
            return found[0]
    valid = ", ".join(f"{one.name!r} (to {one.to_status})" for one in offered) or "none"
    raise ActionFailed(
        f"{ticket.key} is {ticket.status!r}, with no transition {name!r} from there; valid are: {valid}"
    )
