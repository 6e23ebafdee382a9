"""Puts a model's own complaints in words: where in the document, what is wrong, what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dct_pipelines.engine.manifests.faults import Fault, Path
from dct_pipelines.engine.manifests.later import LATER_KEYS, comes_later
from dct_pipelines.engine.manifests.source import Document

NAME_PATTERN_START = "^[a-z0-9][a-z0-9_-]"
SECRET_WORDS = ("credential", "secret", "password", "token", "key")
LONGEST_SHOWN = 60
PLAIN_WORDS = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "should be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "should be a mapping of keys to values"),
}
"""What pydantic says in words of Python, in words of a manifest."""


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, and all of them when they are few."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names) or 'none'}" if len(names) <= 20 else f"{len(names)} are known"
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


def validated(
    document: Document, path: Path, form: Any, data: Any, adapter: TypeAdapter[Any] | None = None
) -> tuple[Any, list[Fault]]:
    """`data` (what the document has at `path`) as its model, or None and the faults.

    `form` is a model or a union of models; `adapter` saves making the one for a union anew.
    """
    try:
        return (adapter or TypeAdapter(form)).validate_python(data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_fault(document, path, form, data, one) for one in details if not _follows(one)]


def _follows(detail: ErrorDetails) -> bool:
    """A list is called too short when its items have faults, which are told themselves."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _fault(document: Document, path: Path, root: Any, data: Any, detail: ErrorDetails) -> Fault:
    below = _place(data, detail)
    message = _message(detail, below, _known_keys(root, detail["loc"]))
    return document.fault((*path, *below), message)


def _place(data: Any, detail: ErrorDetails) -> Path:
    """pydantic's place without the tags of unions, which are not in the document."""
    path: list[str | int] = []
    here = data
    location = detail["loc"]
    for index, part in enumerate(location):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, Sequence) and not isinstance(here, str) and isinstance(part, int):
            if part >= len(here):
                break
            here = here[part]
        elif not (detail["type"] == "missing" and index == len(location) - 1):
            continue
        path.append(part)
    return (*path, *_named_in(detail, here))


def _named_in(detail: ErrorDetails, here: Any) -> Path:
    """A complaint about a whole mapping that begins with one of its keys is about that key."""
    words = detail["msg"].removeprefix("Value error, ").split()
    return (
        (words[0],)
        if detail["type"] == "value_error" and isinstance(here, Mapping) and words[0] in here
        else ()
    )


def _message(detail: ErrorDetails, place: Path, known_keys: frozenset[str]) -> str:
    given, context = detail["input"], detail.get("ctx", {})
    last = str(place[-1]) if place else ""
    match detail["type"]:
        case "extra_forbidden" if last in LATER_KEYS:
            return comes_later(f"the key {last!r}")
        case "extra_forbidden":
            return f"unknown key {last!r}; {hint(last, known_keys)}"
        case "missing":
            return f"{last!r} is missing; add it"
        case "literal_error" | "enum":
            wanted = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
            return f"{given!r} is not known here; {hint(str(given), wanted)}"
        case "union_tag_invalid":
            tags = [tag.strip("'") for tag in str(context["expected_tags"]).split(", ")]
            return f"type {context['tag']!r} is not known here; {hint(str(context['tag']), tags)}"
        case "union_tag_not_found":
            return "'type' is missing; it says which of the forms this is"
        case "string_pattern_mismatch" if str(context.get("pattern", "")).startswith(NAME_PATTERN_START):
            return f"{_clipped(given)} is not a name: up to 63 lower-case letters, digits, - and _ are"
        case "string_pattern_mismatch" if str(context.get("pattern", "")).startswith("^(env:"):
            return "should say where the secret is read: env:NAME, file:/path or command:PROGRAM ARGUMENTS"
        case "too_short" | "too_long":
            return f"should{detail['msg'].partition('should')[2].replace(' after validation', '')}"
        case "value_error" | "assertion_error":
            return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        case _:
            return _plainly(detail, place)


def _plainly(detail: ErrorDetails, place: Path) -> str:
    said = detail["msg"].replace("Input should", "should", 1)
    said = PLAIN_WORDS.get(detail["type"], said)
    given = detail["input"]
    is_secret = any(word in str(part).lower() for part in place for word in SECRET_WORDS)
    if is_secret or isinstance(given, (Mapping, list, tuple)):
        return said
    return f"{said}, not {_clipped(given)}"


def _clipped(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _known_keys(root: Any, location: tuple[int | str, ...]) -> frozenset[str]:
    """Keys that the models at the end of `location` have; follows fields, and the tags of unions."""
    models = list(models_in(root))
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            models = [below for field in fields for below in models_in(field.annotation)]
        else:
            models = [model for model in models if _tag(model) == part] or models
    return frozenset(name for model in models for name in model.model_fields)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a type mentions: the model itself, the forms of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from models_in(argument)


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("type")
    return field.default if field is not None else None
