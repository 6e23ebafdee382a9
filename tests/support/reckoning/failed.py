"""`failure_analysis`: failures that are alike. What they have in common is known to who made them up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from uuid import UUID

from dct_pipelines.domain.metrics import Span
from tests.support.measured import Past
from tests.support.reckoning.figures import Rows, ended_in

LONGEST = 400


@dataclass(frozen=True)
class _Failure:
    at: datetime
    id: UUID
    message: str


def failures(history: Sequence[Past], span: Span) -> Rows:
    """The rows of `failure_analysis`."""
    clusters: dict[tuple[datetime, str, str, str], list[_Failure]] = defaultdict(list)
    for past in history:
        at = ended_in(past, span)
        if past.status != "failed" or at is None or past.completed_at is None:
            continue
        bad = next((act for act in past.acts if act.state in ("failed", "uncertain", "started")), None)
        said = [(past.error, past.pattern), (bad.error, bad.pattern) if bad else (None, None)]
        text, pattern = next(((text, like) for text, like in said if text and text.strip()), (None, None))
        message = text.strip().splitlines()[0].strip()[:LONGEST] if text else "(none)"
        alike = (at, past.names[0], bad.type if bad else "(none)", pattern or "(none)")
        clusters[alike].append(_Failure(past.completed_at, past.id, message))
    found: Rows = {}
    for (at, trigger, action, pattern), some in clusters.items():
        last = min(some, key=lambda one: (-one.at.timestamp(), one.id))
        # Only the key of a cluster, which keeps no secret.
        key = md5(pattern.encode(), usedforsecurity=False).hexdigest()[:12]
        found[at, trigger, action, key] = {
            "pattern": pattern,
            "failures": len(some),
            "sample": last.message,
            "sample_execution": str(last.id),
            "first_seen_at": min(one.at for one in some),
            "last_seen_at": last.at,
        }
    return found
