"""Plain data as YAML that people keep in files."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString


def to_yaml(documents: Sequence[dict[str, Any]]) -> str:
    """One YAML document each, keys in the order that they have; texts of several lines as blocks."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump_all([_readable(document) for document in documents], out)
    return out.getvalue()


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _readable(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_readable(below) for below in value]
    if isinstance(value, str) and "\n" in value.strip():
        return LiteralScalarString(value)
    return value
