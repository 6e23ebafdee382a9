"""The rule that the conditions about a changed field share: from what, to what, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.matching import fold, shown
from dct_pipelines.domain.verdict import Verdict, no, yes

NOBODY = "nobody"


@dataclass(frozen=True)
class Side:
    """One side of a change: what to show, and every folded name that a condition may call it by."""

    text: str
    names: frozenset[str]

    def is_called(self, name: str) -> bool:
        """Whether a condition means this by `name`."""
        return fold(name) in self.names


def side_of_text(text: str | None) -> Side:
    """A status or a priority; None is `none`."""
    text = text or "none"
    return Side(shown(text), frozenset({fold(text)}))


def side_of_person(person: Person | None) -> Side:
    """A user; None is `nobody`."""
    if person is None:
        return Side(NOBODY, frozenset({NOBODY}))
    texts = (person.id, person.name, person.email)
    return Side(shown(str(person)), frozenset(fold(text) for text in texts if text))


def judge_change(
    what: str, before: Side, after: Side, wanted_from: str | None, wanted_to: str | None, *, is_same: bool
) -> Verdict:
    """Fires when the field really changed, from `wanted_from` and to `wanted_to`; None is anything."""
    if is_same:
        return no(f"{what} stayed {after.text}")
    went = f"{what} went {before.text} → {after.text}"
    if wanted_to is not None and not after.is_called(wanted_to):
        return no(f"{went}, not to {wanted_to!r}")
    if wanted_from is not None and not before.is_called(wanted_from):
        return no(f"{went}, not from {wanted_from!r}")
    return yes(went)


def judge_present(what: str, now: Side, wanted_from: str | None, wanted_to: str | None) -> Verdict:
    """Whether a field is as it would be after the change: at `wanted_to`, or else no longer `wanted_from`."""
    is_at = f"{what} is {now.text}"
    if wanted_to is not None:
        return yes(is_at) if now.is_called(wanted_to) else no(f"{is_at}, not {wanted_to!r}")
    if wanted_from is not None and now.is_called(wanted_from):
        return no(f"{is_at}, so it has not left it")
    return yes(is_at)
