"""Texts from outside as PostgreSQL takes them: no NUL characters, no halves of characters.

A command may print anything. What cannot be stored must not keep the news of its failure from being stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python
from sqlalchemy import Dialect, Text, TypeDecorator

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Words(TypeDecorator[str]):
    """A `text` column; what cannot be stored is replaced on the way in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Mend what is written or compared."""
        return mended(value) if value is not None else None


def mended(text: str) -> str:
    """The text with U+FFFD for every character that cannot be stored."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def dump_json(value: object) -> str:
    """Write JSON for a `jsonb` column: times in ISO 8601, UUIDs, paths, enumerations and models as they are.

    What cannot be stored becomes U+FFFD.
    """
    try:
        text = to_json(value, inf_nan_mode="null").decode()
    except PydanticSerializationError:
        text = to_json(_mended_within(to_jsonable_python(value)), inf_nan_mode="null").decode()
    return _NUL.sub(r"\1\\ufffd", text)


def _mended_within(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, Mapping):
        return {key: _mended_within(entry) for key, entry in value.items()}
    return [_mended_within(entry) for entry in value] if isinstance(value, list) else value
