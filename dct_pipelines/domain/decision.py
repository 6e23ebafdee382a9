"""The outcome of one event × one trigger."""

from __future__ import annotations

from enum import StrEnum

from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import DecisionOutcome


class IgnoredBecause(StrEnum):
    """Why a match did not become an execution."""

    OWN_WRITE = "own_write"
    CHAIN_TOO_DEEP = "chain_too_deep"
    OLDER_THAN_TRIGGER = "older_than_trigger"
    TRIGGER_PAUSED = "trigger_paused"
    TRIGGER_DISABLED = "trigger_disabled"
    TRIGGER_BROKEN = "trigger_broken"
    OWNER_NOT_PERMITTED = "owner_not_permitted"
    AUTOMATIC_MAIL = "automatic_mail"
    SENDER_NOT_TRUSTED = "sender_not_trusted"


class ConditionVerdict(Fact):
    """What one condition of the trigger said; `index` is its place in the trigger."""

    index: int
    type: str
    rules_version: int
    verdict: Verdict


class Ruling(Fact):
    """The pure answer to event × trigger version: what was decided and why, before limits are looked at."""

    outcome: DecisionOutcome
    because: str
    ignored_because: IgnoredBecause | None = None
    conditions: tuple[ConditionVerdict, ...] = ()
    once_key: str | None = None
    """The trigger fires only once for this key; None: once for the event."""
