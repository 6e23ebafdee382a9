"""Entries of Dagster's event log as the very text that Dagster would store, written with less work.

Dagster walks each event with a generator for each object in it and asks of each value what it might be: a
sixth of what a run costs. What a class's fields are called when stored never changes, so it is looked up once
for each class. Whatever is not plainly a named tuple of Dagster's goes Dagster's own way.

`tests/dagster/test_entries.py` compares the texts on the pinned Dagster
(`dagster_shared/serdes/serdes.py`, `ObjectSerializer.pack_items`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import EventLogEntry
from dagster_shared.record import _REMAPPING_FIELD
from dagster_shared.serdes import pack_value
from dagster_shared.serdes.serdes import (
    _WHITELIST_MAP,
    EMPTY_VALUES_TO_SKIP,
    FieldSerializer,
    NamedTupleSerializer,
    ObjectSerializer,
)

Pack = Callable[[Any], Any]
_PLAIN = frozenset({str, int, float, bool, type(None)})
_known: dict[type, Pack] = {}


def text_of(entry: EventLogEntry) -> str:
    """What Dagster's `serialize_value` gives for it."""
    return json.dumps(_packed(entry), sort_keys=True)


def _packed(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    pack = _known.get(kind)
    if pack is None:
        pack = _known[kind] = _way_of(kind)
    return pack(value)


def _way_of(kind: type) -> Pack:
    if kind is dict:
        return _packed_mapping
    if kind is list:
        return _packed_list
    serializer = _WHITELIST_MAP.object_serializers.get(kind.__name__)
    if serializer is not None and serializer.klass is kind and _is_packed_plainly(serializer):
        return _Form(serializer).pack
    return pack_value


def _packed_mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _packed(one) for key, one in value.items()}


def _packed_list(value: list[Any]) -> list[Any]:
    return [_packed(one) for one in value]


def _is_packed_plainly(serializer: ObjectSerializer[Any]) -> bool:
    """Whether its values are packed field by field, under the names that they have."""
    own = type(serializer)
    is_own_way = any(
        getattr(own, name) is not getattr(NamedTupleSerializer, name, None)
        for name in ("pack_items", "before_pack", "object_as_mapping", "get_storage_name")
    )
    return not is_own_way and not getattr(serializer.klass, _REMAPPING_FIELD, None)


@dataclass(frozen=True)
class _Field:
    stored_as: str
    serializer: FieldSerializer | None
    is_left_out_when_empty: bool
    is_left_out_when_none: bool


class _Form:
    """How the values of one class are stored."""

    def __init__(self, serializer: ObjectSerializer[Any]) -> None:
        self._head = {"__class__": serializer.get_storage_name()}
        self._tail = dict(serializer.old_fields)
        self._fields = [_field(serializer, name) for name in serializer.klass._fields]

    def pack(self, value: Any) -> dict[str, Any]:
        packed: dict[str, Any] = dict(self._head)
        # Some of these classes forbid to be iterated over, lest somebody takes them for tuples.
        for field, held in zip(self._fields, tuple.__iter__(value), strict=True):
            one = held
            if field.serializer is not None:
                one = field.serializer.pack(held, whitelist_map=_WHITELIST_MAP, descent_path="")
            if field.is_left_out_when_empty and one in EMPTY_VALUES_TO_SKIP:
                continue
            if field.is_left_out_when_none and one is None:
                continue
            packed[field.stored_as] = one if type(one) in _PLAIN else _packed(one)
        return packed | self._tail if self._tail else packed


def _field(of: ObjectSerializer[Any], name: str) -> _Field:
    return _Field(
        of.storage_field_names.get(name, name),
        of.field_serializers.get(name),
        name in of.skip_when_empty_fields,
        name in of.skip_when_none_fields,
    )
