"""GitLab: a project by git and by its merge requests, polled, and by what GitLab posts to us.

Source of the deliveries: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.hosting.hooks import (
    ToldComment,
    items_of,
    json_object,
    look_at,
    received_comment,
)
from dct_pipelines.domain.hosting.listen import EVENT_KINDS, ITEM_KINDS, HostedItem, read
from dct_pipelines.domain.hosting.people import gitlab_person, stamp
from dct_pipelines.domain.hosting.places import place_fault
from dct_pipelines.domain.hosting.reader import HostedComment
from dct_pipelines.domain.listener import (
    Delivery,
    ListenerType,
    ReadContext,
    Received,
    WatchedConnection,
    WebhookType,
)
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.signing import verify_signed
from dct_pipelines.domain.text_rules import LONGEST_TEXT

_SIGNING = "whsec_"


def verify(delivery: Delivery, secret: str) -> None:
    """By the signature where the secret is a signing token, else by the secret token, which comes as it is.

    Source: https://docs.gitlab.com/user/project/integrations/webhooks/#validate-webhook-payloads
    """
    if secret.startswith(_SIGNING):
        verify_signed(delivery, secret)
        return
    given = delivery.headers.get("x-gitlab-token", "")
    if not secret or not hmac.compare_digest(given.encode(errors="replace"), secret.encode()):
        raise DeliveryRefused("x-gitlab-token is not the webhook secret; use the same one on both sides")


def _moment(written: Any) -> Any:
    """Deliveries write `2015-05-17 18:08:09 UTC` where the API writes ISO 8601."""
    return written.removesuffix(" UTC") + "+00:00" if str(written).endswith(" UTC") else written


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Project(_Part):
    path_with_namespace: str
    web_url: str = ""


class _Author(_Part):
    username: str
    name: str = ""


class _Request(_Part):
    iid: int
    title: str = ""
    url: str | None = None


class _Note(_Part):
    id: int
    note: str
    noteable_type: str
    created_at: Annotated[datetime, BeforeValidator(_moment)]
    updated_at: Annotated[datetime, BeforeValidator(_moment)]
    system: bool = False
    action: str = "create"
    url: str | None = None


class _Told(_Part):
    """What all deliveries that concern a project have."""

    project: _Project
    merge_request: _Request | None = None


class _ToldNote(_Told):
    object_attributes: _Note
    user: _Author
    merge_request: _Request


class _ToldRequest(_Told):
    object_attributes: _Request


def receive(delivery: Delivery, connection: WatchedConnection, context: ReadContext) -> Received:
    """A new comment becomes its event; for all else what it concerns is read now."""
    body = json_object(delivery.body)
    try:
        return _received(body, connection, context)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PayloadUnreadable(f"the delivery's {where} is not as documented ({first['msg']})") from None


def _received(body: Any, connection: WatchedConnection, context: ReadContext) -> Received:
    """System hooks tell of pushes with `event_name` only: docs.gitlab.com/administration/system_hooks/."""
    kind = body.get("object_kind") or body.get("event_name")
    if body.get("project") is None:
        return Received(f"a delivery of kind {shown(str(kind))} names no project: nothing to do")
    if kind == "note" and (body.get("object_attributes") or {}).get("noteable_type") == "MergeRequest":
        return _note(_ToldNote.model_validate(body), connection, context)
    if kind == "merge_request":
        told = _ToldRequest.model_validate(body)
        number = told.object_attributes.iid
        return look_at(_items(told, connection, number), f"merge request {number} has changed")
    about = _Told.model_validate(body)
    return look_at(
        _items(about, connection), f"{shown(about.project.path_with_namespace)}: {shown(str(kind))}"
    )


def _note(told: _ToldNote, connection: WatchedConnection, context: ReadContext) -> Received:
    """Only a new comment: what an edit's delivery says of its time is less exact than a read."""
    note, request = told.object_attributes, told.merge_request
    items = _items(told, connection, request.iid)
    if note.system or note.action != "create":
        return look_at(items, f"note {note.id} of merge request {request.iid} has changed")
    comment = HostedComment(
        id=f"note-{note.id}",
        author=gitlab_person(told.user.username, told.user.name),
        text=note.note[:LONGEST_TEXT],
        created_at=note.created_at,
        updated=stamp(note.updated_at),
        url=note.url,
    )
    repository = told.project.path_with_namespace
    title, url = request.title, request.url
    about = ToldComment(
        repository=repository, number=request.iid, action="added", comment=comment, title=title, url=url
    )
    return received_comment(about, items, context)


def _items(told: _Told, connection: WatchedConnection, number: int | None = None) -> Any:
    """The items that it concerns, also of a server below a path of its address."""
    repository = told.project.path_with_namespace
    root = urlsplit(told.project.web_url).path.removesuffix(f"/{repository}")
    return items_of(connection, repository, number, root)


LISTENER = ListenerType(
    kind="gitlab",
    summary="branches, merge requests, approvals, comments and checks of GitLab projects",
    item_kinds=ITEM_KINDS,
    event_kinds=EVENT_KINDS,
    interval_seconds=30,
    item_config=HostedItem,
    read=read,
    example={"default_branch": "main"},
    default_base="https://gitlab.com",
    location_fault=place_fault,
    webhook=WebhookType(verify, receive),
)
