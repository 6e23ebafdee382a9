"""Templates in an action's configuration: `{{ path | filter }}` over plain data, and nothing else.

No logic, no calls, no attribute of any object: a path walks through mappings and lists, so what comes
from outside can only ever be a value. Reading and rendering are linear in the size of their input, and the
output is bounded. A name that is not there is an error that names the nearest one that is.

    {{ event.branch }}  {{ steps.merge.commit | short }}  {{ event.actor.name | default("somebody") }}

Data from outside is rendered as it is and never read again as a template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from dct_pipelines.domain.errors import TemplateFailed
from dct_pipelines.domain.template_syntax import FILTERS, Expression, Part, nearest_of, parse

MAX_OUTPUT_CHARS = 256 * 1024


class _Missing:
    """What a path leads to when it leads nowhere, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


Names = Mapping[str, Any]
"""Names that are known beforehand: each leads to further `Names`, or to None when anything may follow."""


def check(template: str, roots: Names) -> tuple[str, ...]:
    """Every fault that can be seen before there is data, as sentences; empty when there is none."""
    try:
        parts = parse(template)
    except TemplateFailed as fault:
        return (str(fault),)
    return tuple(_faults(parts, roots))


def check_config(config: Any, roots: Names) -> tuple[tuple[tuple[str | int, ...], str], ...]:
    """Faults of every string in a nested configuration, each with its path in it."""
    return tuple(
        (path, fault) for path, text in _strings(config, ()) if "{{" in text for fault in check(text, roots)
    )


def is_template(text: str) -> bool:
    """Whether rendering could change it."""
    return "{{" in text


def render(template: str, scope: Mapping[str, Any]) -> str:
    """The template with every expression replaced by its value; `TemplateFailed` when one is missing."""
    if not is_template(template):
        return template
    rendered: list[str] = []
    size = 0
    for part in parse(template):
        text = part if isinstance(part, str) else _value(part, scope)
        size += len(text)
        if size > MAX_OUTPUT_CHARS:
            raise TemplateFailed(
                f"the text would be longer than {MAX_OUTPUT_CHARS} characters; name smaller values"
            )
        rendered.append(text)
    return "".join(rendered)


def render_config(config: Any, scope: Mapping[str, Any]) -> Any:
    """The configuration with every string in it rendered (keys are not); its shape stays as it is."""
    if isinstance(config, str):
        return render(config, scope)
    if isinstance(config, Mapping):
        return {key: render_config(value, scope) for key, value in config.items()}
    if isinstance(config, Sequence):
        return [render_config(value, scope) for value in config]
    return config


def as_text(value: Any) -> str:
    """A value as a template shows it: text as it is, nothing for None, ISO times, JSON for structures."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return as_text(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bool, Mapping, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=as_text)
    return str(value)


def _faults(parts: Sequence[Part], roots: Names) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str) or not part.path:
            continue
        known: Any = roots
        for depth, name in enumerate(part.path):
            if known is None:
                break
            if name not in known:
                yield _unknown(part.path, depth, tuple(known))
                break
            known = known[name]


def _value(expression: Expression, scope: Mapping[str, Any]) -> str:
    value: Any = _follow(expression.path, scope) if expression.path else expression.literal
    for call in expression.filters:
        if call.name != "default":
            value = value if isinstance(value, _Missing) else FILTERS[call.name](as_text(value))
        elif value is None or isinstance(value, _Missing):
            value = call.argument
    if isinstance(value, _Missing):
        raise TemplateFailed(value.reason)
    return as_text(value)


def _follow(path: tuple[str, ...], scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for depth, name in enumerate(path):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif (
            isinstance(value, (list, tuple)) and name.isdecimal() and len(name) < 6 and int(name) < len(value)
        ):
            value = value[int(name)]
        else:
            return _Missing(_unknown(path, depth, tuple(value) if isinstance(value, Mapping) else ()))
    return value


def _unknown(path: tuple[str, ...], depth: int, known: Sequence[Any]) -> str:
    here = f"{'.'.join(path[:depth])!r} has no" if depth else "there is no"
    hint = nearest_of(path[depth], [str(name) for name in known]) if known else "it has nothing below it"
    return f"{'.'.join(path)!r} is not known here: {here} {path[depth]!r}; {hint}"


def _strings(config: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(config, str):
        yield path, config
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield from _strings(value, (*path, str(key)))
    elif isinstance(config, Sequence):
        for index, value in enumerate(config):
            yield from _strings(value, (*path, index))
