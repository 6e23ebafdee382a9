"""A ticket tracker in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.tracking import marks
from dct_pipelines.domain.tracking.port import TicketComment, TicketNow, Transition

STATUSES = ("Open", "In Progress", "Ready for QA", "Done")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
ME = Person(id="dct", name="Dct", email="dct@example.com")


@dataclass
class FakeTracker:
    """Tickets by key; `history` are (key, mark) of changes of status, `writes` every write in words."""

    tickets: dict[str, TicketNow] = field(default_factory=dict)
    users: list[Person] = field(
        default_factory=lambda: [
            ME,
            Person(id="dev", name="Dev", email="dev@example.com"),
            Person(id="lead", name="Lead", email="lead@example.com"),
        ]
    )
    comments: dict[str, list[tuple[str, TicketComment]]] = field(default_factory=dict)
    links: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    fails_at: str = ""
    """The write that ends in an error, after it was made."""

    def create(self, title: str = "Pay faster") -> str:
        key = f"PAY-{len(self.tickets) + 1}"
        self.tickets[key] = TicketNow(
            id=str(10_000 + len(self.tickets)),
            key=key,
            title=title,
            status="Open",
            assignee=None,
            priority="Medium",
            labels=(),
            url=f"https://jira.example/browse/{key}",
        )
        return key

    def write_ids(self, ticket_id: str, mark: str, changes: Mapping[str, str | None]) -> tuple[str, ...]:
        return (marks.comment_write(ME.id, mark), marks.change_write(ME.id, mark))

    def ticket(self, ticket: str) -> TicketNow:
        for known in self.tickets.values():
            if ticket in (known.key, known.id):
                return known
        raise ActionFailed(f"there is no ticket {ticket}")

    def transitions(self, ticket: str) -> tuple[Transition, ...]:
        now = self.ticket(ticket).status
        return tuple(
            Transition(str(number), f"To {status}", status)
            for number, status in enumerate(STATUSES)
            if status != now
        )

    def took(self, ticket: str, mark: str) -> bool:
        return (self.ticket(ticket).key, mark) in self.history

    def take(self, ticket: str, transition: Transition, mark: str) -> None:
        if transition not in self.transitions(ticket):
            raise ActionFailed(f"{ticket}: that transition is not valid")
        self.history.append((self.ticket(ticket).key, mark))
        self._change(ticket, "transition", status=transition.to_status)

    def find_user(self, name: str) -> Person:
        found = [user for user in self.users if name.casefold() in user.names]
        if len(found) != 1:
            raise ActionFailed(f"there is no user {name!r}")
        return found[0]

    def assign(self, ticket: str, user: Person | None, mark: str) -> None:
        self._change(ticket, "assignee", assignee=user)

    def set_priority(self, ticket: str, priority: str, mark: str) -> None:
        named = {name.casefold(): name for name in PRIORITIES}.get(priority.casefold())
        if named is None:
            raise ActionFailed(
                f"there is no priority {priority!r}; the priorities are {', '.join(PRIORITIES)}"
            )
        self._change(ticket, "priority", priority=named)

    def change_labels(self, ticket: str, add: tuple[str, ...], remove: tuple[str, ...], mark: str) -> None:
        labels = tuple(label for label in self.ticket(ticket).labels if label not in remove) + add
        self._change(ticket, "labels", labels=labels)

    def find_comment(self, ticket: str, mark: str) -> TicketComment | None:
        listed = self.comments.get(self.ticket(ticket).key, [])
        return next((comment for its, comment in listed if its == mark), None)

    def comment(self, ticket: str, text: str, mark: str) -> TicketComment:
        listed = self.comments.setdefault(self.ticket(ticket).key, [])
        made = TicketComment(str(500 + len(listed)), ME, text)
        listed.append((mark, made))
        self._wrote("comment")
        return made

    def link(self, ticket: str, url: str, title: str, key: str) -> bool:
        if self.links.get((ticket, key)) == (url, title):
            return False
        self.links[ticket, key] = (url, title)
        self._wrote("link")
        return True

    def _change(self, ticket: str, what: str, **values: object) -> None:
        now = self.ticket(ticket)
        self.tickets[now.key] = replace(now, **values)  # type: ignore[arg-type]  # named by the methods above
        self._wrote(what)

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if what == self.fails_at:
            self.fails_at = ""
            raise ConnectionResetError(f"the answer to {what} was lost")
