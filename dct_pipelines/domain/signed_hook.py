"""The hook for whatever has none of its own: signed JSON that says what to look at, or how a check went.

A git host that we have no listener for says "look" after a push, a CI says how its check ended. What a hook
says is never believed to be an event: the item is read, and what is seen there counts.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.listener import (
    Delivery,
    ReadContext,
    Received,
    WatchedConnection,
    WatchedItem,
    WebhookType,
)
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.operations import Check
from dct_pipelines.domain.signing import verify_signed
from dct_pipelines.domain.words import CheckState, ItemKind


class _Told(BaseModel):
    """What a sender adds of its own is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Look(_Told):
    """Something may have changed there: read it now. `item` is the name of a context item."""

    type: Literal["look"]
    item: str


class CheckTold(_Told):
    """A CI's check of a commit of a repository, by the name of its context item. The last report counts."""

    type: Literal["check"]
    repository: str
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    state: CheckState
    summary: Annotated[str, Field(max_length=2000)] = ""
    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s]+$")] | None = None


_TOLD: TypeAdapter[Look | CheckTold] = TypeAdapter(Annotated[Look | CheckTold, Field(discriminator="type")])


def read(delivery: Delivery, connection: WatchedConnection, _context: ReadContext) -> Received:
    """What is to be looked at, and the check to be stored before."""
    told = _parsed(delivery.body)
    if isinstance(told, Look):
        item = _item(connection, told.item)
        return Received(f"{item.name} is read now", look_at=(item.id,))
    item = _item(connection, told.repository)
    if item.kind is not ItemKind.GIT_REPOSITORY:
        raise PayloadUnreadable(f"{item.name} is a {item.kind}; a check is of a commit of a git_repository")
    check = Check(
        repository_item_id=item.id,
        commit=told.commit,
        name=told.name,
        state=told.state,
        summary=told.summary,
        url=told.url,
        reported_at=delivery.received_at,
    )
    because = f"{shown(told.name)} on {told.commit[:8]} is {told.state}; {item.name} is read now"
    return Received(because, look_at=(item.id,), checks=(check,))


def _parsed(body: bytes) -> Look | CheckTold:
    try:
        return _TOLD.validate_python(json.loads(body), strict=False)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PayloadUnreadable(
            f"{where or 'the body'}: {first['msg']}; see docs/reference/webhooks.md"
        ) from None
    except (ValueError, RecursionError):
        raise PayloadUnreadable("the body is not JSON; see docs/reference/webhooks.md") from None


def _item(connection: WatchedConnection, name: str) -> WatchedItem:
    for item in connection.items:
        if item.name == name:
            return item
    raise PayloadUnreadable(
        f"connection {connection.name} has no item {shown(name)!r}; correct the sender, or define the item"
    )


SIGNED_HOOK = WebhookType(verify=verify_signed, read=read)
"""Taken by every connection whose provider has no webhooks that we know."""
