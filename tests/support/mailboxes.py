"""Mailboxes read by our real client and listener, from a real server, as the engine reads them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

from dct_pipelines.clients.imap import ImapClient
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.mail import LISTENER
from tests.fakes.budget import FakeBudget
from tests.properties.driver import Deaths, Driver
from tests.support.facts import id_of
from tests.support.mails import HOST
from tests.support.servers.imap_server import Mailbox

CONNECTION = id_of("mail connection")


def connection_config(mailbox: Mailbox, **changes: Any) -> dict[str, Any]:
    """A connection that believes our host, and allows example.com."""
    return {"username": mailbox.user, "authserv_id": HOST, "allowed_senders": ["@example.com"], **changes}


def mail_client(
    mailbox: Mailbox,
    clock: Clock,
    *,
    base: str = "",
    port: int | None = None,
    secret: str | None = None,
    **changes: Any,
) -> ImapClient:
    """The client of a mailbox, in plain text unless `base` says otherwise."""
    endpoint = Endpoint(
        connection_id=CONNECTION,
        name="team-mail",
        kind="mail",
        base=base or f"imap://{mailbox.server.host}:{port or mailbox.server.port}",
        config=connection_config(mailbox, **changes),
        credential=lambda: mailbox.password if secret is None else secret,
        allow_private_network=True,
        budget=FakeBudget(clock),
        renew=lambda: None,
    )
    return ImapClient(endpoint, clock)


def item_of(name: str, kind: ItemKind = ItemKind.MAILBOX, location: str = "", **config: Any) -> WatchedItem:
    """An item that nobody has read."""
    return WatchedItem(id_of("mail item", name), name, kind, location, config, {})


def driver_of(
    mailbox: Mailbox, clock: Clock, *items: WatchedItem, client: ImapClient | None = None
) -> Driver:
    """Reads these items of a mailbox, by default its inbox."""
    known = client or mail_client(mailbox, clock)
    return Driver(
        LISTENER,
        CONNECTION,
        connection_config(mailbox),
        items or (item_of("inbox"),),
        port=lambda _item: known,
        clock=clock,
        deaths=Deaths(Random(0)),
    )


def posted(driver: Driver, item_id: UUID | None = None) -> list[MessagePosted]:
    """The messages that were taken in, in their order."""
    events = [event for event in driver.intake.events if item_id in (None, event.item_id)]
    return [event.payload for event in events if isinstance(event.payload, MessagePosted)]


def texts(driver: Driver, item_id: UUID | None = None) -> list[str]:
    """What they say."""
    return [message.text for message in posted(driver, item_id)]


def flags_of(mailbox: Mailbox, folder: str = "INBOX") -> Mapping[int, tuple[bytes, ...]]:
    """The flags of every mail of a folder, without the one that only this session sees."""
    mailbox.client.select_folder(folder, readonly=True)
    found = mailbox.client.get_flags(mailbox.client.search())
    mailbox.client.unselect_folder()
    return {uid: tuple(flag for flag in flags if flag != b"\\Recent") for uid, flags in found.items()}
