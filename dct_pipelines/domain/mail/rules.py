"""What a connection to a mailbox and its items are told by their manifests."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dct_pipelines.domain.listener import ConnectionConfig, ItemConfig, WatchedItem
from dct_pipelines.domain.words import ItemKind

INBOX = "INBOX"
LONGEST_FOLDER = 255
_SENDER = re.compile(r"[^@\s<>,;\"]{0,64}@[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?")
_ID = re.compile(r"<?([^<>\s]{1,250}@[^<>\s@]{1,250})>?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _sender(entry: str) -> str:
    if not _SENDER.fullmatch(entry := entry.strip().lower()):
        raise ValueError(
            "give an address like qa@example.org, or @example.org for everybody of that very domain"
        )
    return entry


Senders = Annotated[tuple[Annotated[str, AfterValidator(_sender)], ...], Field(max_length=1_000)]


class MailConnection(ConnectionConfig):
    """Whose mailbox it is, how to log in, and whose word about senders counts."""

    username: str = Field(min_length=1, max_length=320, description="the account, mostly its address")
    auth: Literal["password", "xoauth2"] = Field(
        default="password", description="`xoauth2`: log in with an access token"
    )
    token_url: str | None = Field(
        default=None,
        max_length=2_000,
        description="with `xoauth2`: where the credential (the client's secret) is exchanged for "
        "access tokens; without it the credential is such a token",
    )
    client_id: str | None = Field(
        default=None, max_length=500, description="with `token_url`: the application"
    )
    scope: str | None = Field(
        default=None, max_length=2_000, description="with `token_url`: what it asks for"
    )
    authserv_id: str | None = Field(
        default=None,
        max_length=255,
        description="the name under which the receiving host writes Authentication-Results; without it no "
        "sender is authenticated",
    )
    allowed_senders: Senders = Field(
        default=(), description="who may start more than a notification: addresses, or `@example.org`"
    )
    starttls: bool = Field(default=False, description="with `imap://`: switch to TLS before logging in")
    ca_file: str | None = Field(
        default=None, max_length=4_000, description="certificates to trust instead of the system's"
    )

    @model_validator(mode="after")
    def _token_is_whole(self) -> Self:
        exchanged = (self.token_url, self.client_id)
        if any(exchanged) and not all(exchanged):
            raise ValueError("token_url and client_id go together; give both or none")
        if self.auth == "password" and any((*exchanged, self.scope)):
            raise ValueError("token_url, client_id and scope need auth: xoauth2")
        return self


class MailItem(ItemConfig):
    """What is special about a mailbox or a thread."""

    folder: str | None = Field(
        default=None,
        max_length=LONGEST_FOLDER,
        description="of an `email_thread`: where its mails arrive (INBOX); a `mailbox` names it as location",
    )
    allowed_senders: Senders | None = Field(
        default=None, description="instead of the connection's, for this item"
    )


def folder_of(item: WatchedItem) -> str:
    """The folder in which an item's mails arrive. INBOX is the one name that knows no case (RFC 3501)."""
    given = item.location if item.kind is ItemKind.MAILBOX else item.config.get("folder")
    name = str(given or INBOX)
    return INBOX if name.upper() == INBOX else name


def message_id_of(item: WatchedItem) -> str:
    """The Message-ID that names a thread, without angle brackets."""
    match = _ID.fullmatch(item.location.strip())
    return match[1] if match else item.location


def location_fault(kind: ItemKind, location: str) -> str | None:
    """What is wrong with a folder's name or a Message-ID."""
    if kind is ItemKind.MAILBOX:
        if len(location) > LONGEST_FOLDER or _CONTROL.search(location):
            return f"a folder has at most {LONGEST_FOLDER} characters and no line breaks"
        return None
    if not _ID.fullmatch(location.strip()):
        return "give the Message-ID of one of the thread's mails, like <abc123@example.org>"
    return None
