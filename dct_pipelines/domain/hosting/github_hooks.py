"""GitHub's deliveries. https://docs.github.com/en/webhooks/webhook-events-and-payloads"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.hooks import (
    ToldComment,
    items_of,
    json_object,
    look_at,
    received_comment,
    verify_hmac,
)
from dct_pipelines.domain.hosting.people import github_person
from dct_pipelines.domain.hosting.reader import HostedComment
from dct_pipelines.domain.listener import Delivery, ReadContext, Received, WatchedConnection
from dct_pipelines.domain.matching import shown

_ACTIONS: Mapping[str, Literal["added", "edited", "deleted"]] = {
    "created": "added",
    "edited": "edited",
    "deleted": "deleted",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Account(_Part):
    login: StrictStr
    id: StrictInt
    type: StrictStr = "User"

    @property
    def person(self) -> Person:
        return github_person(self.id, self.login, self.type)


class _Repository(_Part):
    full_name: StrictStr


class _Request(_Part):
    number: StrictInt
    title: StrictStr = ""
    html_url: StrictStr | None = None
    pull_request: dict[str, Any] | None = None
    """Of an issue: whether it is a pull request."""


class _Comment(_Part):
    html_url: StrictStr = Field(pattern=r"#[a-z-]+_?r?\d+$")
    body: StrictStr
    user: _Account | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class _Before(_Part):
    """The text before an edit."""

    old: StrictStr = Field(alias="from")


class _Changes(_Part):
    body: _Before | None = None


class _Told(_Part):
    """Of a comment."""

    action: StrictStr
    repository: _Repository
    sender: _Account | None = None
    comment: _Comment
    issue: _Request | None = None
    pull_request: _Request | None = None
    changes: _Changes = _Changes()


class _Any(_Part):
    """Of anything else."""

    action: StrictStr = ""
    repository: _Repository | None = None
    number: StrictInt | None = None
    pull_request: _Request | None = None


def verify(delivery: Delivery, secret: str) -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    verify_hmac(delivery, secret, "x-hub-signature-256", "sha256=")


def read_delivery(delivery: Delivery, connection: WatchedConnection, context: ReadContext) -> Received:
    """A comment's event at once; whatever else is said of a repository, it is read."""
    event = delivery.headers.get("x-github-event", "")
    body = json_object(delivery.body)
    if event == "ping":
        return Received("GitHub asks whether we are there; we are")
    try:
        if event in ("issue_comment", "pull_request_review_comment"):
            return _comment(_Told.model_validate(body), connection, context)
        told = _Any.model_validate(body)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PayloadUnreadable(f"{event}: {where} is not as documented ({first['msg']})") from None
    what = " ".join(filter(None, (shown(event), shown(told.action))))
    if told.repository is None:
        return Received(f"{what}: it is about no repository")
    number = told.pull_request.number if told.pull_request else told.number
    return look_at(items_of(connection, told.repository.full_name, number), what)


def _comment(told: _Told, connection: WatchedConnection, context: ReadContext) -> Received:
    request = told.pull_request or told.issue
    if request is None or (told.pull_request is None and request.pull_request is None):
        return Received("a comment of an issue: issues are not read")
    if (action := _ACTIONS.get(told.action)) is None:
        return Received(f"comment {shown(told.action)}: nothing is to be done")
    before = told.changes.body.old if told.changes.body else None
    if action == "edited" and before is None:
        return Received("a comment was edited, but not its text")
    comment = told.comment
    stamp = comment.updated_at.isoformat().replace("+00:00", "Z")
    hosted = HostedComment(
        id=comment.html_url.rpartition("#")[2],
        author=comment.user.person if comment.user else Person(name="ghost"),
        text=comment.body,
        created_at=comment.created_at,
        updated=stamp,
        edited_at=comment.updated_at if action == "edited" else None,
        url=comment.html_url,
    )
    found = ToldComment(
        repository=told.repository.full_name,
        number=request.number,
        action=action,
        comment=hosted,
        before=before,
        actor=told.sender.person if told.sender else None,
        title=request.title,
        url=request.html_url,
    )
    return received_comment(found, items_of(connection, found.repository, found.number), context)
