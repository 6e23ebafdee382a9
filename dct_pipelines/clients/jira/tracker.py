"""Changing tickets, for `update_ticket`. Every write carries our mark: the listener knows it again by it."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from dct_pipelines.clients.jira.reading import CommonReading
from dct_pipelines.clients.jira.site import part
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.tracking import marks
from dct_pipelines.domain.tracking.adf import document
from dct_pipelines.domain.tracking.port import TicketComment, TicketNow, Transition
from dct_pipelines.domain.tracking.raw import name_in, object_of, person_of, text_in
from dct_pipelines.domain.tracking.reader import Answered, Named
from dct_pipelines.domain.tracking.tickets import comment_of, history_of, url_of
from dct_pipelines.domain.tracking.wiki import escaped

SAID = "Dynamic Context Triggers"
MOST_USERS = 50
NOW = "summary,status,assignee,priority,labels"


class Tracking(CommonReading, ABC):
    """Part of a Jira client: the domain's `TrackerPort`."""

    @abstractmethod
    def tickets(self, wanted: Sequence[Named]) -> Answered:
        """As `TrackerReader` says."""

    @abstractmethod
    def histories(self, tickets: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
        """As `TrackerReader` says."""

    def ticket(self, ticket: str) -> TicketNow:
        """The ticket as it is now."""
        issue = object_of(self.site.write("GET", f"issue/{part(ticket)}", query={"fields": NOW}), "a ticket")
        fields = object_of(issue.get("fields"), f"fields of {ticket}")
        key = text_in(issue, "key", "a ticket")
        return TicketNow(
            id=text_in(issue, "id", key),
            key=key,
            title=str(fields.get("summary") or ""),
            status=name_in(fields, "status", key) or "",
            assignee=person_of(fields.get("assignee"), f"assignee of {key}"),
            priority=name_in(fields, "priority", key),
            labels=tuple(map(str, fields.get("labels") or ())),
            url=url_of(issue, key) or key,
        )

    def transitions(self, ticket: str) -> tuple[Transition, ...]:
        """The transitions that we may take now."""
        body = object_of(self.site.write("GET", f"issue/{part(ticket)}/transitions"), "transitions")
        offered = (object_of(one, "a transition") for one in body.get("transitions") or ())
        return tuple(
            Transition(
                text_in(one, "id", "a transition"), str(one.get("name")), name_in(one, "to", "it") or ""
            )
            for one in offered
        )

    def took(self, ticket: str, mark: str) -> bool:
        """Whether a transition with this mark is in the ticket's history."""
        answered = self.tickets([Named("", ticket)])
        histories = self.histories([raw for raw in answered.found if isinstance(raw, Mapping)])
        changes = (history_of(raw) for log in histories.values() for raw in log)
        return any(
            change.mark == mark and any(one.field == "status" for one in change.changes) for change in changes
        )

    def take(self, ticket: str, transition: Transition, mark: str) -> None:
        """Take a transition."""
        body = {"transition": {"id": transition.id}, "historyMetadata": marks.metadata(mark, SAID)}
        self.site.write("POST", f"issue/{part(ticket)}/transitions", json=body)

    def find_user(self, name: str) -> Person:
        """The one user of that id, address or name."""
        by = "query" if self.site.config.is_cloud else "username"
        query = {by: name, "maxResults": str(MOST_USERS)}
        answer = self.site.write("GET", "user/search", query=query)
        listed = answer if isinstance(answer, list) else []
        people = [person for raw in listed if (person := person_of(raw, "a user")) is not None]
        if self.site.config.is_cloud and not people:
            found = self.site.write("GET", "user/search", query={"accountId": name})
            people = [person for raw in found or () if (person := person_of(raw, "a user")) is not None]
        return _chosen(name, people)

    def assign(self, ticket: str, user: Person | None, mark: str) -> None:
        """Make somebody (None: nobody) the assignee."""
        by = "accountId" if self.site.config.is_cloud else "name"
        self._edit(ticket, mark, fields={"assignee": None if user is None else {by: user.id}})

    def set_priority(self, ticket: str, priority: str, mark: str) -> None:
        """Set the priority by its name."""
        valid = self.priorities()
        named = next((name for name in valid if name.casefold() == priority.casefold()), None)
        if named is None:
            raise ActionFailed(f"there is no priority {priority!r}; the priorities are {', '.join(valid)}")
        self._edit(ticket, mark, fields={"priority": {"name": named}})

    def change_labels(self, ticket: str, add: tuple[str, ...], remove: tuple[str, ...], mark: str) -> None:
        """Add and remove labels, whatever others do to them meanwhile."""
        steps = [{"add": label} for label in add] + [{"remove": label} for label in remove]
        self._edit(ticket, mark, update={"labels": steps})

    def find_comment(self, ticket: str, mark: str) -> TicketComment | None:
        """Our own comment that carries this mark."""
        for raw in self.comments(Named("", ticket)) or ():
            comment = comment_of(raw)
            if comment.mark == mark and comment.author.id == self.me().id:
                return TicketComment(comment.id, comment.author, comment.text)
        return None

    def comment(self, ticket: str, text: str, mark: str) -> TicketComment:
        """Add a comment that carries the mark, in its text and as a property."""
        is_cloud = self.site.config.is_cloud
        said = marks.marked(text if is_cloud else escaped(text), mark)
        body = {
            "body": document(said) if is_cloud else said,
            "properties": [{"key": marks.METADATA_TYPE, "value": {"mark": mark}}],
        }
        made = comment_of(self.site.write("POST", f"issue/{part(ticket)}/comment", json=body))
        return TicketComment(made.id, made.author, made.text)

    def link(self, ticket: str, url: str, title: str, key: str) -> bool:
        """Add or update the remote link of that key; False when it was there just so."""
        path = f"issue/{part(ticket)}/remotelink"
        found = self.site.write("GET", path, query={"globalId": key}, accept={404})
        links = found if isinstance(found, list) else [found]
        wanted = {"url": url, "title": title}
        for link in links:
            if isinstance(link, Mapping) and link.get("globalId") == key:
                there = link.get("object")
                if isinstance(there, Mapping) and {name: there.get(name) for name in wanted} == wanted:
                    return False
        self.site.write("POST", path, json={"globalId": key, "object": wanted})
        return True

    def write_ids(self, ticket_id: str, mark: str, changes: Mapping[str, str | None]) -> tuple[str, ...]:
        """The external ids that the listener will give to what is written with this mark."""
        who = self.me().id
        comment = marks.comment_write(who, mark)
        if self.site.config.history_metadata:
            return (comment, marks.change_write(who, mark))
        return (
            comment,
            *(marks.value_write(ticket_id, field, who, after) for field, after in changes.items()),
        )

    def _edit(self, ticket: str, mark: str, **what: Any) -> None:
        body = {**what, "historyMetadata": marks.metadata(mark, SAID)}
        self.site.write("PUT", f"issue/{part(ticket)}", json=body)


def _chosen(name: str, people: list[Person]) -> Person:
    """By id, then address, then name; an address that Jira keeps to itself is told by a single answer."""
    wanted = name.casefold()
    for by in ("id", "email", "name"):
        fitting = [person for person in people if (getattr(person, by) or "").casefold() == wanted]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            ids = ", ".join(str(person.id) for person in fitting)
            raise ActionFailed(f"several users are called {name!r}; give the id of one: {ids}")
    if "@" in name and len(people) == 1 and people[0].email is None:
        return people[0]
    close = difflib.get_close_matches(name, [person.name for person in people if person.name], n=3, cutoff=0)
    hint = f"; close are {', '.join(close)}" if close else ""
    raise ActionFailed(f"there is no user {name!r} whom our account may see{hint}")
