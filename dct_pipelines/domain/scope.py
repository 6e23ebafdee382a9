"""What templates see: the names, when a trigger is saved, and the values, when it fires.

event      the event that fired: id, kind, subject, about (what people call it), occurred_at, actor, and
           every field of its payload
item       the context item it happened to: id, name, kind, location
trigger    name, priority, type, description
execution  id, attempt, created_at, idempotency_key, triggered_by
steps      `steps.<name>.<output>`: outputs of the actions before this one
workspace  in a workspace draft only: id, short_id
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.payloads import Payload
from dct_pipelines.domain.template import Names

_ANY_OF = ("id", "kind", "subject", "about", "occurred_at")
_ITEM: Names = dict.fromkeys(("id", "name", "kind", "location"))
_TRIGGER: Names = dict.fromkeys(("name", "priority", "type", "description"))
_EXECUTION: Names = dict.fromkeys(("id", "attempt", "created_at", "idempotency_key", "triggered_by"))
_WORKSPACE: Names = dict.fromkeys(("id", "short_id"))
_PERSON: Names = dict.fromkeys(Person.model_fields)


def known_names(
    steps: Mapping[str, Collection[str]] | None = None, event_kinds: Iterable[str] | None = None
) -> Names:
    """Names that an action's templates may use: `steps` are the outputs of the actions before it.

    `event_kinds` are the kinds that can fire the trigger; without them the event's fields are not checked.
    """
    return {
        "event": None if event_kinds is None else _event_names(frozenset(event_kinds)),
        "item": _ITEM,
        "trigger": _TRIGGER,
        "execution": _EXECUTION,
        "steps": {name: dict.fromkeys(outputs) for name, outputs in (steps or {}).items()},
    }


def draft_names() -> Names:
    """Names that the templates of a workspace draft may use."""
    return {
        "event": None,
        "trigger": dict.fromkeys(("name",)),
        "execution": dict.fromkeys(("id",)),
        "workspace": _WORKSPACE,
    }


def event_values(event: Event | None) -> dict[str, Any]:
    """The event as templates see it: its own fields, and those of its payload beside them."""
    if event is None:
        return {}
    own = event.model_dump(mode="json", include={*_ANY_OF, "actor"})
    return event.payload.model_dump(mode="json") | own | {"kind": event.kind, "about": event.about}


def _event_names(kinds: frozenset[str]) -> Names:
    names: dict[str, Any] = dict.fromkeys(_ANY_OF) | {"actor": _PERSON}
    for payload in get_args(get_args(Payload)[0]):
        if payload.model_fields["kind"].default in kinds:
            names |= {name: _below(field.annotation) for name, field in payload.model_fields.items()}
    return names


def _below(annotation: Any) -> Names | None:
    """Names below a field that is a model (or one or nothing); None when anything may follow."""
    if get_origin(annotation) in (tuple, list, dict):
        return None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return dict.fromkeys(candidate.model_fields)
    return None
