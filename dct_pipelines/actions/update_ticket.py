"""Changes a ticket: its status, assignee, priority, labels, a link, a comment. Only what is not so yet."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.outcome import Link, Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.tracking.updating import Update, Wanted

Labels = Annotated[tuple[str, ...], Field(max_length=50)]
LONGEST_COMMENT = 30_000
"""Jira takes 32,767 characters; the mark and what is escaped need room."""


class TicketLink(ActionConfig):
    """A link to something elsewhere; one a URL."""

    url: str = Field(pattern=r"^(https?://|\{\{)", max_length=2_000)
    title: str = Field(default="", max_length=255)


class UpdateTicketConfig(ActionConfig):
    """`ticket` is a key or id, `connection` a name; empty are those of the event. What is empty is left."""

    ticket: str = ""
    connection: str = ""
    transition: str = ""
    """The name of a transition, or of the status that one leads to."""
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    assignee: str = ""
    """An id, address or name; `none` is nobody."""
    priority: str = ""
    labels_add: Labels = ()
    labels_remove: Labels = ()
    link: TicketLink | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        changes = (self.transition, self.comment, self.assignee, self.priority, self.labels_add)
        if not any((*changes, self.labels_remove, self.link)):
            raise ValueError(
                "say what to change: a transition, comment, assignee, priority, labels or a link"
            )
        return self


def run(context: ActionContext, config: UpdateTicketConfig, ports: ActionPorts) -> Outcome:
    """Bring the ticket to what is wanted; a transition that is not offered fails with those that are."""
    connection = config.connection or _connection(ports)
    tracker = ports.connections.tracker(connection)
    ticket = tracker.ticket(config.ticket or _ticket(ports))
    update = Update(context, ports, connection, tracker, ticket)
    update.make(
        Wanted(
            transition=config.transition.strip(),
            comment=config.comment,
            assignee=config.assignee.strip(),
            priority=config.priority.strip(),
            labels_add=config.labels_add,
            labels_remove=config.labels_remove,
            link=(config.link.url, config.link.title) if config.link else None,
        )
    )
    outputs: dict[str, Any] = {
        "ticket": ticket.key,
        "status": update.status,
        "changed": list(update.did),
        "comment_id": update.comment_id or "",
        "url": ticket.url,
    }
    links = (Link(title=ticket.key, url=ticket.url),)
    if not update.did:
        return nothing_to_do(f"{ticket.key} is so already", links=links, **outputs)
    return done(f"{ticket.key}: {', '.join(update.did)}", links=links, **outputs)


def _connection(ports: ActionPorts) -> str:
    item = ports.library.item_by_id(ports.event.item_id) if ports.event is not None else None
    if item is None or item.connection is None:
        raise ActionFailed("the event has no connection; name the connection of the ticket in the action")
    return item.connection


def _ticket(ports: ActionPorts) -> str:
    ticket = getattr(ports.event.payload, "ticket", None) if ports.event is not None else None
    if ticket is None:
        raise ActionFailed("the event is not about a ticket; name the ticket in the action")
    return str(ticket.key)


ACTION = ActionType(
    kind="update_ticket",
    summary="Changes a ticket's status, assignee, priority, labels or links, or comments on it.",
    config=UpdateTicketConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"ticket", "status", "changed", "comment_id", "url"}),
    example={
        "transition": "In QA",
        "comment": "{{ steps.deploy_environment.commit | short }} is on qa.",
        "labels_add": ["on-qa"],
    },
)
