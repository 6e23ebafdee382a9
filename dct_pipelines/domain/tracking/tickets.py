"""What Jira answers about a ticket, understood: fields, comments, and the history of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Fact, Person, TicketRef
from dct_pipelines.domain.text_rules import LONGEST_TEXT
from dct_pipelines.domain.tracking.adf import text_of
from dct_pipelines.domain.tracking.marks import mark_in, unmarked
from dct_pipelines.domain.tracking.raw import (
    Raw,
    clean,
    list_of,
    name_in,
    object_of,
    optional_text,
    person_of,
    text_in,
    time_of,
)

Field = Literal["status", "assignee", "priority", "summary", "description"]
FIELDS: tuple[Field, ...] = ("status", "assignee", "priority", "summary", "description")
"""The fields whose changes become events."""


class Found(Fact):
    """A ticket that a search says was updated; `updated` in Jira's own words."""

    id: str
    key: str
    updated: str
    updated_at: datetime


class CommentRead(Fact):
    """A comment. `mark` is ours, taken out of the text."""

    id: str
    author: Person
    editor: Person | None
    text: str
    created_at: datetime
    updated: str
    updated_at: datetime
    mark: str | None


class FieldChange(Fact):
    """One field's change; `before` and `after` are what people see, the ids what Jira keeps."""

    field: Field
    before_id: str | None
    before: str | None
    after_id: str | None
    after: str | None


class HistoryRead(Fact):
    """What somebody changed at once. `mark` is ours, from the history metadata."""

    id: str
    at: datetime
    author: Person | None
    changes: tuple[FieldChange, ...]
    mark: str | None

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Sorts histories as they happened; ids grow, within one moment they decide."""
        return self.at, number(self.id), self.id


class TicketRead(Fact):
    """A ticket as it is."""

    id: str
    key: str
    url: str | None
    project: str
    title: str
    description: str
    status: str
    assignee: Person | None
    priority: str | None
    labels: tuple[str, ...]
    creator: Person | None
    created_at: datetime
    updated: str
    updated_at: datetime
    people: dict[str, Person]
    """By everything that a changelog may call them."""

    @property
    def ref(self) -> TicketRef:
        """How events name it."""
        return TicketRef(id=self.id, key=self.key, title=self.title, project=self.project, url=self.url)


def number(text: str) -> int:
    """An id as a number; ids that are none come first."""
    return int(text) if text.isascii() and text.isdigit() else -1


def found_of(raw: Any) -> Found:
    """One row of a search for changes."""
    issue = object_of(raw, "a found ticket")
    fields = object_of(issue.get("fields"), "fields")
    updated = text_in(fields, "updated", "a found ticket")
    return Found(
        id=text_in(issue, "id", "a found ticket"),
        key=text_in(issue, "key", "a found ticket"),
        updated=updated,
        updated_at=time_of(updated, "updated"),
    )


def ticket_of(raw: Any) -> TicketRead:
    """A ticket with the fields that we ask for."""
    issue = object_of(raw, "a ticket")
    key = text_in(issue, "key", "a ticket")
    fields = object_of(issue.get("fields"), f"fields of {key}")
    status = name_in(fields, "status", key)
    if status is None:
        raise PayloadUnreadable(f"{key} has no status")
    project = fields.get("project")
    of_project = text_in(object_of(project, f"project of {key}"), "key", "project") if project else None
    updated = text_in(fields, "updated", key)
    labels = fields.get("labels")
    named = [] if labels is None else list_of(labels, f"labels of {key}")
    return TicketRead(
        id=text_in(issue, "id", key),
        key=key,
        url=url_of(issue, key),
        project=of_project or key.rpartition("-")[0],
        title=(optional_text(fields, "summary", key) or "")[:LONGEST_TEXT],
        description=text_of(fields.get("description")),
        status=status,
        assignee=person_of(fields.get("assignee"), f"assignee of {key}"),
        priority=name_in(fields, "priority", key),
        labels=tuple(clean(str(label)) for label in named),
        creator=person_of(fields.get("creator"), f"creator of {key}"),
        created_at=time_of(fields.get("created"), f"created of {key}"),
        updated=updated,
        updated_at=time_of(updated, f"updated of {key}"),
        people=people_of(fields.get(name) for name in ("assignee", "creator", "reporter")),
    )


def url_of(raw: Raw, key: str) -> str | None:
    """Where people read the ticket, from where its data is."""
    here = raw.get("self")
    base, found, _ = here.partition("/rest/api/") if isinstance(here, str) else ("", "", "")
    return f"{base}/browse/{key}" if found else None


def people_of(raws: Iterable[Any]) -> dict[str, Person]:
    """Those people by every id that a changelog may call them by."""
    found: dict[str, Person] = {}
    for raw in raws:
        if isinstance(raw, Mapping) and (person := person_of(raw, "somebody")):
            names = (raw.get(name) for name in ("accountId", "key", "name"))
            found.update({name: person for name in names if isinstance(name, str) and name})
    return found


def inline_comments(raw: Raw) -> tuple[list[Any], bool]:
    """The comments that came with a ticket, and whether these are all of them."""
    fields = object_of(raw.get("fields"), "fields")
    field = fields.get("comment")
    if field is None:
        return [], False
    listed = object_of(field, "the field comment")
    comments = list_of(listed.get("comments"), "the field comment's comments")
    total = listed.get("total")
    return comments, isinstance(total, int) and total <= len(comments)


def comment_of(raw: Any) -> CommentRead:
    """One comment, in a ticket, a listing or a delivery."""
    comment = object_of(raw, "a comment")
    comment_id = text_in(comment, "id", "a comment")
    what = f"comment {comment_id}"
    updated = optional_text(comment, "updated", what) or text_in(comment, "created", what)
    text, mark = unmarked(text_of(comment.get("body")))
    author = person_of(comment.get("author"), f"author of {what}")
    return CommentRead(
        id=comment_id,
        author=author or Person(name="Anonymous"),
        editor=person_of(comment.get("updateAuthor"), f"updateAuthor of {what}"),
        text=text,
        created_at=time_of(comment.get("created"), f"created of {what}"),
        updated=updated,
        updated_at=time_of(updated, f"updated of {what}"),
        mark=mark,
    )


def history_of(raw: Any) -> HistoryRead:
    """One entry of a changelog; fields that make no events are left out."""
    history = object_of(raw, "a history")
    history_id = text_in(history, "id", "a history")
    what = f"history {history_id}"
    items = list_of(history.get("items"), f"items of {what}")
    changes = (_change(object_of(item, f"an item of {what}"), what) for item in items)
    return HistoryRead(
        id=history_id,
        at=time_of(history.get("created"), f"created of {what}"),
        author=person_of(history.get("author"), f"author of {what}"),
        changes=tuple(change for change in changes if change is not None),
        mark=mark_in(history),
    )


def _change(item: Raw, what: str) -> FieldChange | None:
    """`fieldId` names the field whatever its language; Data Center has only `field`, in English."""
    called = item.get("fieldId") or item.get("field")
    field = next((name for name in FIELDS if name == called), None)
    if field is None:
        return None
    before, after = optional_text(item, "fromString", what), optional_text(item, "toString", what)
    return FieldChange(
        field=field,
        before_id=optional_text(item, "from", what),
        before=before[:LONGEST_TEXT] if before else before,
        after_id=optional_text(item, "to", what),
        after=after[:LONGEST_TEXT] if after else after,
    )
