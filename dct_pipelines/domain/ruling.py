"""The pure decision: one event × one trigger version, before any limit is looked at.

The same function decides when an event comes in, replays a plain no when somebody asks weeks later, and
answers simulations. It reads no clock: everything comes from the event, the version and the view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol
from uuid import UUID

from dct_pipelines.domain.compiled import CompiledCondition, CompiledTrigger
from dct_pipelines.domain.decision import ConditionVerdict, IgnoredBecause, Ruling
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.domain.snapshot import Snapshot
from dct_pipelines.domain.trigger import TriggerVersion
from dct_pipelines.domain.verdict import Verdict, no
from dct_pipelines.domain.words import DecisionOutcome, Match, TriggerStatus

MAX_CHAIN_DEPTH = 5
"""Our own executions that may stand behind an event which still fires a trigger."""

ONLY_TELLS = frozenset({"notify_users"})
"""Actions that a mail of anybody may start: they change nothing, and tell only whom an operator allowed."""

Tester = Callable[[CompiledCondition, Event], Verdict]


class SnapshotView(Protocol):
    """States as they were right after the event that is being decided."""

    def of_subject(self, item_id: UUID, subject: str) -> Snapshot | None:
        """The state of one subject, or None when it is not known or gone."""
        ...

    def of_item(self, item_id: UUID, state_kinds: frozenset[str]) -> Iterable[Snapshot]:
        """The states of an item's subjects that are of these kinds, in a stable order."""
        ...


def _test(condition: CompiledCondition, event: Event) -> Verdict:
    return condition.test(event)


def rule(
    event: Event,
    trigger: CompiledTrigger,
    view: SnapshotView,
    *,
    max_chain_depth: int = MAX_CHAIN_DEPTH,
    test: Tester = _test,
) -> Ruling:
    """Decide. `outcome` is `fired`, `ignored` (it matched, and must not fire) or `not_matched`.

    Every condition is asked, also behind one that has answered already, so that the story is whole.
    `test` may remember verdicts of equal conditions.
    """
    tested = [
        (condition, test(condition, event)) for condition in trigger.conditions if condition.knows(event)
    ]
    fired = [condition for condition, verdict in tested if verdict.fired]
    is_all = trigger.version.spec.match is Match.ALL
    verdicts = {condition.index: verdict for condition, verdict in tested}
    if is_all and fired:
        verdicts = _with_states(event, trigger, view, verdicts)
    said = tuple(
        _said(condition, verdicts[condition.index])
        for condition in trigger.conditions
        if condition.index in verdicts
    )
    missing = [entry for entry in said if not entry.verdict.fired]
    if not fired or (is_all and missing):
        return Ruling(
            outcome=DecisionOutcome.NOT_MATCHED, because=_why_not(event, trigger, said), conditions=said
        )
    because = "; ".join(entry.verdict.because for entry in said if entry.verdict.fired)
    ignored = why_ignored(event, trigger.version, max_chain_depth)
    if ignored is not None:
        why, words = ignored
        return Ruling(
            outcome=DecisionOutcome.IGNORED,
            because=f"{because}; but {words}",
            ignored_because=why,
            conditions=said,
        )
    return Ruling(
        outcome=DecisionOutcome.FIRED,
        because=because,
        conditions=said,
        once_key=_once_key(event, fired, is_all),
    )


def _with_states(
    event: Event, trigger: CompiledTrigger, view: SnapshotView, tested: dict[int, Verdict]
) -> dict[int, Verdict]:
    """With `all`, what the conditions that did not fire on the event say of the states after it."""
    own = view.of_subject(event.item_id, event.subject)
    others = [item_id for item_id in trigger.version.item_ids if item_id != event.item_id]
    return {
        condition.index: tested[condition.index]
        if condition.index in tested and tested[condition.index].fired
        else _holds(condition, event, own, others, view)
        for condition in trigger.conditions
    }


def _holds(
    condition: CompiledCondition, event: Event, own: Snapshot | None, others: list[UUID], view: SnapshotView
) -> Verdict:
    """On the event's own subject when the condition knows such a state, else on any of the other items'."""
    kinds = condition.type.state_kinds
    if own is not None and own.state.kind in kinds:
        return condition.is_true(own, event.observed_at)
    first_no = None
    for item_id in others:
        for snapshot in view.of_item(item_id, kinds):
            verdict = condition.is_true(snapshot, event.observed_at)
            if verdict.fired:
                return verdict
            first_no = first_no or verdict
    if first_no is not None:
        return first_no
    return no(f"no {' or '.join(sorted(kinds)).replace('_', ' ')} of this trigger's items is known")


def _said(condition: CompiledCondition, verdict: Verdict) -> ConditionVerdict:
    return ConditionVerdict(
        index=condition.index,
        type=condition.type.kind,
        rules_version=condition.type.rules_version,
        verdict=verdict,
    )


def _why_not(event: Event, trigger: CompiledTrigger, said: tuple[ConditionVerdict, ...]) -> str:
    if said:
        return "; ".join(entry.verdict.because for entry in said if not entry.verdict.fired)
    kinds = ", ".join(sorted(trigger.event_kinds))
    return f"none of its conditions looks at {event.kind} (they look at {kinds})"


def _once_key(event: Event, fired: list[CompiledCondition], is_all: bool) -> str | None:
    """The first key of a condition that fired; with `all` the head, since any of them may come last."""
    keys = [key for condition in fired if (key := condition.once_key(event)) is not None]
    if not keys:
        return None
    head = getattr(event.payload, "head", None)
    return f"{event.item_id} {f'{event.subject} {head}' if is_all and head else keys[0]}"


def why_ignored(
    event: Event, version: TriggerVersion, max_chain_depth: int = MAX_CHAIN_DEPTH
) -> tuple[IgnoredBecause, str] | None:
    """Why a match must not fire, in the order in which it is looked at, or None."""
    match version.status:
        case TriggerStatus.PAUSED:
            return IgnoredBecause.TRIGGER_PAUSED, "the trigger is paused"
        case TriggerStatus.DISABLED:
            return IgnoredBecause.TRIGGER_DISABLED, "the trigger is disabled"
        case TriggerStatus.ERROR:
            return IgnoredBecause.TRIGGER_BROKEN, "the trigger cannot work as it is saved"
    if event.occurred_at < version.active_since:
        happened, since = (
            when.isoformat(timespec="seconds") for when in (event.occurred_at, version.active_since)
        )
        return (
            IgnoredBecause.OLDER_THAN_TRIGGER,
            f"it happened at {happened}, and the trigger is active since {since}",
        )
    if event.cause is not None and (own := _own_write(event, version, max_chain_depth)) is not None:
        return own
    return _mail(event, version)


def _own_write(
    event: Event, version: TriggerVersion, max_chain_depth: int
) -> tuple[IgnoredBecause, str] | None:
    cause = event.cause
    if cause is None:
        return None
    wrote = f"execution {cause.execution_id} wrote it"
    if version.trigger_id in cause.chain:
        return IgnoredBecause.OWN_WRITE, f"{wrote}, in this trigger's own wake"
    if not version.spec.on_own_writes:
        return IgnoredBecause.OWN_WRITE, f"{wrote}, and the trigger does not say on_own_writes"
    if cause.depth >= max_chain_depth:
        return (
            IgnoredBecause.CHAIN_TOO_DEEP,
            f"{wrote}, the last of {cause.depth} in a row (the limit is {max_chain_depth})",
        )
    return None


def _mail(event: Event, version: TriggerVersion) -> tuple[IgnoredBecause, str] | None:
    """Programs' mail fires nothing; what only claims a sender fires nothing that changes anything."""
    trust = event.payload.mail if isinstance(event.payload, MessagePosted) else None
    if trust is None:
        return None
    if trust.is_automatic:
        return (
            IgnoredBecause.AUTOMATIC_MAIL,
            f"a program sent this mail, so that it fires nothing ({trust.because}); "
            "watch what that program reports by a connection or webhook of its own",
        )
    acting = sorted(set(version.spec.shape) - ONLY_TELLS)
    if trust.is_trusted or not acting:
        return None
    return (
        IgnoredBecause.SENDER_NOT_TRUSTED,
        f"its sender may not start {', '.join(acting)} ({trust.because}); an operator can name the sender in "
        "allowed_senders and our receiving host in authserv_id (docs/how-to/connect-mail.md)",
    )
