"""JSON Schema of manifests, for editors: kinds, conditions and actions told apart, each with its own keys.

`if/then` instead of `oneOf`: an editor then complains about the key that is wrong, not about all forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain.manifest import MODELS
from dct_pipelines.domain.words import Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def manifest_schema() -> Schema:
    """The schema of one YAML document."""
    definitions: Schema = {}
    for kind in Kind:
        definitions |= _kind(kind)
    definitions |= _plugins("condition", {name: one.config for name, one in registry.conditions().items()})
    definitions |= _plugins("action", {name: one.config for name, one in registry.actions().items()})
    listeners = registry.listeners()
    definitions |= _plugins("connection", {name: one.connection_config for name, one in listeners.items()})
    definitions["connection"]["allOf"] = [
        _when("type", name, {"properties": {"config": {"$ref": f"#/$defs/connection.{name}"}}})
        for name in sorted(listeners)
    ]
    trigger = definitions["trigger"]["properties"]
    for name, parts in (("condition", registry.conditions()), ("action", registry.actions())):
        spec = {"condition": "ConditionSpec", "action": "ActionSpec"}[name]
        definitions[f"trigger.{spec}"] |= _told_apart(name, parts)
        trigger[f"{name}s"]["items"] = {"$ref": f"#/$defs/trigger.{spec}"}
    return {
        "$schema": DIALECT,
        "title": "A manifest of Dynamic Context Triggers",
        "type": "object",
        "properties": {"kind": {"enum": [kind.value for kind in Kind]}, "name": {"type": "string"}},
        "required": ["kind", "name"],
        "allOf": [_when("kind", kind.value, {"$ref": f"#/$defs/{kind.value}"}) for kind in Kind],
        "$defs": definitions,
    }


def _when(key: str, value: str, then: Schema) -> Schema:
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}


def _kind(kind: Kind) -> Schema:
    """The definitions of one kind; `kind` is a key of the document, not of the model."""
    schema = MODELS[kind].json_schema(ref_template=f"#/$defs/{kind.value}.{{model}}")
    below: Schema = schema.pop("$defs", {})
    forms = [below[ref["$ref"].rpartition(".")[2]] for ref in schema.get("oneOf", ())] or [schema]
    for form in forms:
        form["properties"] = {"kind": {"const": kind.value}} | form["properties"]
        form["required"] = ["kind", *form.get("required", ())]
    return {kind.value: schema} | {f"{kind.value}.{name}": one for name, one in below.items()}


def _plugins(room: str, models: Mapping[str, Any]) -> Schema:
    found: Schema = {}
    for name, model in models.items():
        schema = model.model_json_schema(ref_template=f"#/$defs/{room}.{name}.{{model}}")
        below = schema.pop("$defs", {})
        found[f"{room}.{name}"] = schema
        found |= {f"{room}.{name}.{part}": one for part, one in below.items()}
    return found


def _told_apart(room: str, parts: Mapping[str, Any]) -> Schema:
    """What a condition or action may be, and which configuration goes with it."""
    types = [{"const": name, "description": part.summary} for name, part in sorted(parts.items())]
    return {
        "properties": {
            "type": {"oneOf": types},
            "config": {"type": "object"},
            **({"name": {"type": "string"}} if room == "action" else {}),
        },
        "allOf": [
            _when("type", name, {"properties": {"config": {"$ref": f"#/$defs/{room}.{name}"}}})
            for name in sorted(parts)
        ],
    }
