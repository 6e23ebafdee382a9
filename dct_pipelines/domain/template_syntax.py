"""The grammar of templates: text, and expressions `{{ path | filter }}` in it. What they mean: `template`.

    expression = "{{" (path | text) {"|" filter} "}}"
    path       = name {"." name}            name: letters, digits, "_" and "-"; a list's index is a name
    filter     = name | "default" "(" text ")"
    text       = anything but a double quote or a line's end, in double quotes

Every character is read once, so that no template is slow to read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dct_pipelines.domain.errors import TemplateFailed

MAX_TEMPLATE_CHARS = 64 * 1024
TEMPLATES_KEPT = 500
"""A process meets the same ones again and again; each is parsed once."""

_TOKEN = re.compile(r'\s*(?:(?P<name>[A-Za-z0-9_-]+)|"(?P<text>[^"\n]*)"|(?P<mark>\}\}|[.|()]))')
_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")
_SHORT = 8
_LISTED_NAMES = 12


@dataclass(frozen=True, slots=True)
class Call:
    """One filter of an expression; `argument` is the text in its parentheses, if there is one."""

    name: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands between `{{` and `}}`: a path (or, when `path` is empty, a `literal`) and its filters."""

    path: tuple[str, ...]
    literal: str
    filters: tuple[Call, ...]
    column: int


Part = str | Expression


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes: fit for a name, at most 63 characters."""
    return _NOT_IN_A_SLUG.sub("-", text.lower()).strip("-")[:63].strip("-")


FILTERS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "slug": slug,
    "short": lambda text: text[:_SHORT],
}
"""Filters without an argument. `default("text")` is the only one with: it stands in for what is not there."""


@lru_cache(maxsize=TEMPLATES_KEPT)
def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template in their order; `TemplateFailed` says where it is malformed."""
    if len(template) > MAX_TEMPLATE_CHARS:
        raise TemplateFailed(
            f"a template of {len(template)} characters is too long; {MAX_TEMPLATE_CHARS} are allowed"
        )
    parts: list[Part] = []
    position = 0
    while (start := template.find("{{", position)) >= 0:
        if start > position:
            parts.append(template[position:start])
        expression, position = _expression(template, start)
        parts.append(expression)
    if position < len(template):
        parts.append(template[position:])
    return tuple(parts)


def _expression(template: str, start: int) -> tuple[Expression, int]:
    """The expression whose `{{` is at `start`, and the position behind its `}}`."""
    tokens = _Tokens(template, start)
    path: list[str] = []
    literal = tokens.text()
    if literal is None:
        path.append(tokens.name("a name"))
        while tokens.mark("."):
            path.append(tokens.name("a name after the dot"))
    filters: list[Call] = []
    while tokens.mark("|"):
        filters.append(tokens.filter())
    if not tokens.mark("}}"):
        raise tokens.fault("'}}', '|' or '.'")
    return Expression(tuple(path), literal or "", tuple(filters), start + 1), tokens.position


class _Tokens:
    """Reads the tokens of one expression from left to right, each once."""

    def __init__(self, template: str, start: int) -> None:
        self.template = template
        self.start = start
        self.position = start + 2

    def _take(self, group: str, wanted: str | None = None) -> str | None:
        match = _TOKEN.match(self.template, self.position)
        found = match[group] if match else None
        if match is None or found is None or (wanted is not None and found != wanted):
            return None
        self.position = match.end()
        return found

    def mark(self, wanted: str) -> bool:
        return self._take("mark", wanted) is not None

    def text(self) -> str | None:
        return self._take("text")

    def name(self, what: str) -> str:
        found = self._take("name")
        if found is None:
            raise self.fault(what)
        return found

    def filter(self) -> Call:
        name = self.name("the name of a filter")
        if name not in FILTERS and name != "default":
            raise TemplateFailed(f"there is no filter {name!r}; {nearest_of(name, (*FILTERS, 'default'))}")
        if (name == "default") is not self.mark("("):
            raise TemplateFailed(
                'default needs its text: default("text")'
                if name == "default"
                else f"{name} takes no argument"
            )
        if name != "default":
            return Call(name)
        argument = self.text()
        if argument is None or not self.mark(")"):
            raise self.fault('a text in double quotes and ")"')
        return Call(name, argument)

    def fault(self, wanted: str) -> TemplateFailed:
        shown = self.template[self.start : self.start + 60].split("\n")[0]
        rest = self.template[self.position : self.position + 20].strip().split("\n")[0]
        return TemplateFailed(
            f"at character {self.position + 1}: {wanted} is expected"
            f"{f', not {rest!r}' if rest else ' before the end'}, in {shown!r}"
        )


def nearest_of(name: str, known: Sequence[str]) -> str:
    """A clause that names the nearest of the known names, or lists them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(sorted(known)[:_LISTED_NAMES]) + (", ..." if len(known) > _LISTED_NAMES else "")
    return f"did you mean {close[0]!r}?" if close else f"known: {listed}"
