"""From an action's configuration model to Dagster's config types, so that the launchpad knows its parameters.

Dagster checks shapes and plain types; what only the model knows (patterns, bounds) it checks itself when the
run claims its execution.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel
from pydantic.fields import FieldInfo

SCALARS: Mapping[Any, Any] = {str: str, int: int, float: float, bool: bool}


def params_field(model: type[BaseModel]) -> dg.Field:
    """The optional config field `params` for `model`: a run that carries an execution needs none."""
    return dg.Field(
        shape_of(model),
        is_required=False,
        description="Parameters of the action. Leave them out in a run that carries an execution.",
    )


def shape_of(model: type[BaseModel]) -> dict[str, dg.Field]:
    """The model's fields as Dagster takes them, with their descriptions and plain defaults."""
    return {info.alias or name: _field(info) for name, info in model.model_fields.items()}


def _field(info: FieldInfo) -> dg.Field:
    config_type = type_of(info.annotation)
    if info.is_required():
        return dg.Field(config_type, description=info.description)
    shown = info.get_default()
    if type(shown) in SCALARS:
        return dg.Field(config_type, default_value=shown, description=info.description)
    return dg.Field(config_type, is_required=False, description=info.description)


def type_of(annotation: Any) -> Any:
    """The Dagster config type that accepts what `annotation` accepts; anything where Dagster has no word."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_of(arguments[0])
    if annotation in SCALARS:
        return SCALARS[annotation]
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal and all(isinstance(value, str) for value in arguments):
        return _choice(arguments)
    if origin in (list, tuple, set, frozenset) or _is_a(origin, (Sequence, AbstractSet)):
        return dg.Array(type_of(arguments[0]))
    if origin is dict or _is_a(origin, (Mapping,)):
        return {str: type_of(arguments[1])}
    if _is_a(annotation, (BaseModel,)):
        return shape_of(annotation)
    if _is_a(annotation, (Enum,)):
        return _choice([str(member.value) for member in annotation])
    return dg.Any


def _is_a(kind: Any, bases: tuple[type, ...]) -> bool:
    return isinstance(kind, type) and issubclass(kind, bases)


def _union(members: tuple[Any, ...]) -> Any:
    """Of several models or types only `X or nothing` has a Dagster type; the model decides the rest."""
    others = [member for member in members if member is not type(None)]
    inner = type_of(others[0]) if len(others) == 1 else dg.Any
    return dg.Noneable(inner) if len(others) < len(members) and inner is not dg.Any else inner


def _choice(values: Sequence[str]) -> dg.Enum:
    """An enumeration of words. Dagster takes two of one name for the same, hence the name."""
    return dg.Enum("_or_".join(values), [dg.EnumValue(value) for value in values])
