"""The release that decided, with the versions of its rules, in one short text stored with every event.

`0.1.0` means that every condition's rules were at version 1; `0.3.0+branch_ready.2` names those that were
not. So a replay years later can say whether today's rules are those that decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dct_pipelines.domain.condition import ConditionType


def release_name(version: str, condition_types: Mapping[str, ConditionType[Any]]) -> str:
    """The text for a version of the product with these condition types."""
    others = sorted(
        f"{kind}.{found.rules_version}" for kind, found in condition_types.items() if found.rules_version != 1
    )
    return f"{version}+{'+'.join(others)}" if others else version


def rules_changed(
    release: str | None, kinds: Iterable[str], condition_types: Mapping[str, ConditionType[Any]]
) -> tuple[str, ...]:
    """Of these kinds of conditions: those whose rules today are not the ones of that release."""
    _, *named = (release or "").split("+")
    then = {kind: int(number) for kind, _, number in (one.rpartition(".") for one in named)}
    now = {kind: found.rules_version for kind, found in condition_types.items()}
    return tuple(sorted(kind for kind in set(kinds) if now.get(kind) != then.get(kind, 1)))
