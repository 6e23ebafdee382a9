"""Mail by IMAP: new mails of folders and of threads, by polling. Nothing in the mailbox is changed.

A mail is data that anybody can write; docs/reference/listeners.md says who is believed to be its sender, and
what is taken for its text.
"""

from __future__ import annotations

from dct_pipelines.domain.listener import ListenerType
from dct_pipelines.domain.mail.reading import read_mailbox
from dct_pipelines.domain.mail.rules import MailConnection, MailItem, location_fault
from dct_pipelines.domain.words import ItemKind

LISTENER = ListenerType(
    kind="mail",
    summary="new mails of a mailbox's folders and threads, by IMAP",
    item_kinds=frozenset({ItemKind.MAILBOX, ItemKind.EMAIL_THREAD}),
    event_kinds=frozenset({"message_posted"}),
    interval_seconds=30,
    item_config=MailItem,
    read_together=read_mailbox,
    example={"allowed_senders": ["@example.org"]},
    connection_config=MailConnection,
    connection_example={
        "username": "dct@example.org",
        "authserv_id": "mx.example.org",
        "allowed_senders": ["release-managers@example.org"],
    },
    base_schemes=("imaps", "imap"),
    has_places=False,
    location_fault=location_fault,
)
