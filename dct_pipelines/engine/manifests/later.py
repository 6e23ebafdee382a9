"""Names that the product has, but not in this release: a manifest that uses one is told so."""

from __future__ import annotations

LATER_KEYS = frozenset("agents agent agent_config requires_agent max_cost_usd digest_window".split())


def comes_later(what: str) -> str:
    """The sentence that says so."""
    return f"{what} comes with a later release; remove it for now"
