"""Jira: tickets and queries, by one search for the whole site a poll, and by what Jira posts to us."""

from __future__ import annotations

from dct_pipelines.domain.listener import ListenerType, WebhookType
from dct_pipelines.domain.tracking.config import JiraConnection, JiraItem, location_fault
from dct_pipelines.domain.tracking.deliveries import receive, verify
from dct_pipelines.domain.tracking.reading import read_together
from dct_pipelines.domain.words import ItemKind

LISTENER = ListenerType(
    kind="jira",
    summary="status, assignee, priority, texts and comments of Jira tickets, by polling and webhook",
    item_kinds=frozenset({ItemKind.JIRA_TICKET, ItemKind.JIRA_QUERY}),
    event_kinds=frozenset(
        {
            "status_changed",
            "assignee_changed",
            "priority_changed",
            "text_changed",
            "comment_added",
            "comment_edited",
            "comment_deleted",
        }
    ),
    interval_seconds=60,
    item_config=JiraItem,
    example={},
    read_together=read_together,
    connection_config=JiraConnection,
    connection_example={"deployment": "cloud", "username": "dct@example.com", "projects": ["PAY"]},
    has_places=False,
    location_fault=location_fault,
    webhook=WebhookType(verify, receive),
)
