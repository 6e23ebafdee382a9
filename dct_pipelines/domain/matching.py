"""How names are compared: folded, so that `Ready for QA` is `ready for qa`, and branches by glob.

A glob's `*` stands for any characters within one part of a branch's name (between slashes), `?` for one of
them, and `**`, alone between slashes, for any number of parts: none or more, at the end at least one. So
`feature/*` is `feature/a` and not `feature/a/b`; `feature/**` is both. No branch can have `*`, `?` or `[` in
its name, so nothing has to be escaped. Matching takes linear time whatever the glob.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, StringConstraints

from dct_pipelines.domain.facts import Person

ANCHOR_LENGTH = 64
"""So many leading characters of a glob are used to find it."""
_SHOWN_LENGTH = 120
_NOT_IN_A_GLOB = re.compile(r"[\x00-\x20\x7f~^:\[\\]")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
"""A name as people write it: a status, a user, a check."""


def fold(text: str) -> str:
    """The form in which names are compared: composed, without case, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    return " ".join(text.casefold().split())


def shown(text: str, longest: int = _SHOWN_LENGTH) -> str:
    """A text from outside, fit for a sentence: one line, bounded."""
    line = "".join(char if char.isprintable() else " " for char in text[: longest + 1])
    line = " ".join(line.split())
    return line if len(text) <= longest else f"{line[: longest - 1]}…"


def same_name(one: str, other: str | None) -> bool:
    """Whether both are the same name."""
    return other is not None and fold(one) == fold(other)


def is_called(person: Person, name: str) -> bool:
    """Whether a person goes by that id, name or address.

    Names can be chosen freely at most providers: a condition that guards something should name an id.
    """
    return fold(name) in {fold(text) for text in (person.id, person.name, person.email) if text}


def same_person(one: Person | None, other: Person | None) -> bool:
    """Whether both are the same person: by their ids when both have one, else by any name in common."""
    if one is None or other is None:
        return one is other
    if one.id and other.id:
        return one.id == other.id
    return bool(one.names & other.names) or one == other


def glob_fault(glob: str) -> str | None:
    """Why this cannot be a glob for branches, or None."""
    if found := _NOT_IN_A_GLOB.search(glob):
        return f"no branch can have {found[0]!r} in its name; the wildcards are * ? and **"
    if glob.startswith("refs/heads/"):
        return f"write the branch's short name: {glob.removeprefix('refs/heads/')!r}"
    parts = glob.split("/")
    if "" in parts:
        return "it has an empty part; a / stands between two parts only"
    if any("**" in part and part != "**" for part in parts):
        return "** stands alone between slashes, as in feature/**; within a part write *"
    return None


def _checked_glob(glob: str) -> str:
    if fault := glob_fault(glob):
        raise ValueError(f"{glob!r} is not a glob for branches: {fault}")
    return glob


BranchGlob = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255),
    AfterValidator(_checked_glob),
]
"""A branch's short name in which `*`, `?` and `**` are wildcards."""


@lru_cache(maxsize=20_000)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(_pattern(fold(glob)), re.DOTALL)


def glob_matches(glob: str, branch: str) -> bool:
    """Whether a branch's short name is one that the glob stands for."""
    return _compiled(glob).fullmatch(fold(branch)) is not None


def _pattern(glob: str) -> str:
    """The glob as a regular expression that never goes back further than the last wildcard."""
    runs = [
        "/".join(map(_part, parts))
        for is_any, parts in groupby(glob.split("/"), lambda part: part == "**")
        if not is_any
    ]
    starts_open, ends_open = glob.startswith("**"), glob.endswith("**")
    if not runs:
        return ".+"
    first = "" if starts_open else runs.pop(0)
    last = "" if ends_open or not runs else runs.pop()
    if "**" not in glob:
        return first
    pattern = f"{first}/" if first else ""
    pattern += "".join(f"(?>(?:[^/]++/)*?{run}/)" for run in runs)
    return pattern + (f"(?:[^/]++/)*{last}" if last else ".+")


def _part(part: str) -> str:
    """One part between slashes: each piece between two `*` is looked for from the left, once."""
    pieces = [re.escape(piece).replace(r"\?", "[^/]") for piece in part.split("*")]
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"


def glob_anchor(glob: str) -> str:
    """The one among `branch_anchors(branch)` of every branch that the glob matches; `^` matches all."""
    folded = fold(glob)
    if not set(folded) & set("*?"):
        return f"={folded}"
    literal = re.split(r"[*?]", folded, maxsplit=1)[0]
    return f"^{literal[:ANCHOR_LENGTH]}"


def branch_anchors(branch: str) -> tuple[str, ...]:
    """Where to look for the globs that match a branch: its whole name, and each beginning of it."""
    folded = fold(branch)
    return (f"={folded}", *(f"^{folded[:end]}" for end in range(min(len(folded), ANCHOR_LENGTH) + 1)))


def literal_of(regex: str) -> str:
    """A text, in lower case, that every match of a regular expression contains; empty when that is not plain.

    Only expressions without alternatives, groups, classes and optional pieces are looked into.
    """
    if not regex.isascii() or set(regex) & set("|()[]{}?*"):
        return ""
    pieces = re.split(r"\\[bBdDwWsSAz]|\\[^0-9A-Za-z]|[.^$+]", regex)
    return "" if any("\\" in piece for piece in pieces) else max(pieces, key=len).lower()


T = TypeVar("T")


class GlobIndex(Generic[T]):
    """Finds, among very many globs, those that match a branch."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._by_anchor: dict[str, list[tuple[str, T]]] = {}
        for glob, value in entries:
            self._by_anchor.setdefault(glob_anchor(glob), []).append((glob, value))

    def find(self, branch: str) -> list[T]:
        """The values of the globs that match."""
        return [
            value
            for anchor in branch_anchors(branch)
            for glob, value in self._by_anchor.get(anchor, ())
            if glob_matches(glob, branch)
        ]
