"""The rule about checks that conditions share: named ones passed, or all that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dct_pipelines.domain.matching import fold, shown
from dct_pipelines.domain.words import CheckState

_UNDECIDED = frozenset({CheckState.SKIPPED, CheckState.NEUTRAL})


def unpassed_named(checks: Mapping[str, CheckState], names: Sequence[str]) -> str | None:
    """Why not every named check succeeded, or None. A skipped or neutral one did not."""
    known = {fold(name): (name, state) for name, state in checks.items()}
    for name in names:
        found = known.get(fold(name))
        if found is None:
            return f"check {name!r} has not reported on this head"
        if found[1] is not CheckState.SUCCESS:
            return _is(*found)
    return None


def unpassed_any(checks: Mapping[str, CheckState]) -> str | None:
    """Why the known checks together are not a pass, or None.

    Skipped and neutral ones neither count nor stand in the way; no success at all is not a pass.
    """
    if not checks:
        return "no checks have reported on this head, which is not a pass"
    for name, state in sorted(checks.items()):
        if state is not CheckState.SUCCESS and state not in _UNDECIDED:
            return _is(name, state)
    if CheckState.SUCCESS not in checks.values():
        return "every check was skipped or neutral, which is not a pass"
    return None


def unpassed(checks: Mapping[str, CheckState], names: Sequence[str]) -> str | None:
    """Why the named checks (or, when none is named, all) are not a pass, or None."""
    return unpassed_named(checks, names) if names else unpassed_any(checks)


def said_of(checks: Mapping[str, CheckState], names: Sequence[str]) -> str:
    """The checks that passed, for a sentence."""
    passed = names or sorted(name for name, state in checks.items() if state is CheckState.SUCCESS)
    listed = ", ".join(shown(name) for name in passed[:10])
    return listed if len(passed) <= 10 else f"{listed} and {len(passed) - 10} more"


def _is(name: str, state: CheckState) -> str:
    words = {
        CheckState.PENDING: "has not finished",
        CheckState.FAILURE: "failed",
        CheckState.CANCELLED: "was cancelled",
        CheckState.SKIPPED: "was skipped, which is not a pass",
        CheckState.NEUTRAL: "ended neutral, which is not a pass",
        CheckState.SUCCESS: "passed",
    }
    return f"check {shown(name)!r} {words[state]}"
