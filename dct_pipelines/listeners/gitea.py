"""Gitea and Forgejo: a repository by git and by its pull requests, polled, and by what is posted to us.

Source of the deliveries: https://docs.gitea.com/usage/webhooks
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.hosting.hooks import (
    ToldComment,
    items_of,
    json_object,
    look_at,
    received_comment,
    verify_hmac,
)
from dct_pipelines.domain.hosting.listen import EVENT_KINDS, ITEM_KINDS, HostedItem, read
from dct_pipelines.domain.hosting.people import gitea_person, stamp
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
from dct_pipelines.domain.text_rules import LONGEST_TEXT

_HEADERS = ("x-gitea-signature", "x-forgejo-signature")
_ACTIONS = {"created": "added", "edited": "edited", "deleted": "deleted"}


def verify(delivery: Delivery, secret: str) -> None:
    """By the HMAC over the body. Forgejo sends it under both names."""
    if not secret:
        raise DeliveryRefused("the connection has no webhook secret; set one on both sides")
    header = next((name for name in _HEADERS if delivery.headers.get(name)), _HEADERS[0])
    verify_hmac(delivery, secret, header)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Repository(_Part):
    full_name: str
    html_url: str = ""


class _User(_Part):
    id: int
    login: str
    full_name: str = ""


class _Comment(_Part):
    id: int
    body: str
    user: _User
    created_at: AwareDatetime
    updated_at: AwareDatetime
    html_url: str | None = None


class _Request(_Part):
    number: int
    title: str = ""
    html_url: str | None = None


class _Before(_Part):
    was: str = Field(alias="from")


class _Changes(_Part):
    body: _Before | None = None


class _Told(_Part):
    repository: _Repository


class _ToldRequest(_Told):
    pull_request: _Request


class _ToldComment(_Told):
    action: str
    issue: _Request
    comment: _Comment
    sender: _User
    changes: _Changes | None = None


def receive(delivery: Delivery, connection: WatchedConnection, context: ReadContext) -> Received:
    """A comment becomes its event; for all else what it concerns is read now."""
    body = json_object(delivery.body)
    try:
        return _received(body, connection, context)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PayloadUnreadable(f"the delivery's {where} is not as documented ({first['msg']})") from None


def _received(body: Any, connection: WatchedConnection, context: ReadContext) -> Received:
    if not isinstance(body.get("repository"), dict):
        return Received("a delivery that names no repository: nothing to do")
    if "comment" in body and isinstance(issue := body.get("issue"), dict):
        if not (body.get("is_pull") or issue.get("pull_request")):
            return Received("a comment of an issue, which is not listened to: nothing to do")
        return _comment(_ToldComment.model_validate(body), connection, context)
    if isinstance(body.get("pull_request"), dict):
        told = _ToldRequest.model_validate(body)
        number = told.pull_request.number
        return look_at(_items(told, connection, number), f"pull request {number} has changed")
    about = _Told.model_validate(body)
    return look_at(_items(about, connection), f"{shown(about.repository.full_name)} has changed")


def _comment(told: _ToldComment, connection: WatchedConnection, context: ReadContext) -> Received:
    items = _items(told, connection, told.issue.number)
    action = _ACTIONS.get(told.action)
    if action is None:
        return look_at(items, f"comment {told.comment.id}: {shown(told.action)}")
    comment, by = told.comment, told.comment.user
    is_edited = comment.updated_at > comment.created_at
    about = ToldComment(
        repository=told.repository.full_name,
        number=told.issue.number,
        action=action,  # type: ignore[arg-type] # the values of _ACTIONS are the field's
        comment=HostedComment(
            id=f"comment-{comment.id}",
            author=gitea_person(by.id, by.login, by.full_name),
            text=comment.body[:LONGEST_TEXT],
            created_at=comment.created_at,
            updated=stamp(comment.updated_at),
            edited_at=comment.updated_at if is_edited else None,
            url=comment.html_url,
        ),
        before=told.changes.body.was if told.changes and told.changes.body else None,
        actor=gitea_person(told.sender.id, told.sender.login, told.sender.full_name),
        title=told.issue.title,
        url=told.issue.html_url,
    )
    return received_comment(about, items, context)


def _items(told: _Told, connection: WatchedConnection, number: int | None = None) -> Any:
    """The items that it concerns, also of a server below a path of its address."""
    repository = told.repository.full_name
    root = urlsplit(told.repository.html_url).path.removesuffix(f"/{repository}")
    return items_of(connection, repository, number, root)


LISTENER = ListenerType(
    kind="gitea",
    summary="branches, pull requests, reviews, comments and checks of Gitea and Forgejo repositories",
    item_kinds=ITEM_KINDS,
    event_kinds=EVENT_KINDS,
    interval_seconds=30,
    item_config=HostedItem,
    read=read,
    example={"default_branch": "main"},
    location_fault=place_fault,
    webhook=WebhookType(verify, receive),
)
