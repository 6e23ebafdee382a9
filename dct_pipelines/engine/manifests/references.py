"""References between definitions, found by the keys that hold them, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dct_pipelines.domain.manifest import Kind
from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.engine.manifests.faults import Fault, Path
from dct_pipelines.engine.manifests.models import hint
from dct_pipelines.engine.manifests.source import Document
from dct_pipelines.engine.manifests.world import World

REFERS: Mapping[str, Kind] = MappingProxyType(
    {
        "channel": Kind.CHANNEL,
        "connection": Kind.CONNECTION,
        "context": Kind.ITEM,
        "draft": Kind.DRAFT,
        "environment": Kind.ENVIRONMENT,
        "items": Kind.ITEM,
        "repository": Kind.ITEM,
        "suite": Kind.SUITE,
        "suites": Kind.SUITE,
    }
)
"""A key of this name holds the name, or the names, of such a definition: in manifests and in actions."""


def references(data: Any, path: Path = ()) -> Iterator[tuple[Path, Kind, str]]:
    """Where `data` refers to which definition; names that are templates are only known when it fires."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            kind = REFERS.get(key)
            if kind is not None and isinstance(value, (str, list, tuple)):
                yield from _names(value, (*path, key), kind)
            else:
                yield from references(value, (*path, key))
    elif isinstance(data, (list, tuple)):
        for index, value in enumerate(data):
            yield from references(value, (*path, index))


def _names(value: Any, path: Path, kind: Kind) -> Iterator[tuple[Path, Kind, str]]:
    if isinstance(value, str):
        if value and not is_template(value):
            yield path, kind, value
    else:
        for index, entry in enumerate(value):
            if isinstance(entry, (str, list, tuple)):
                yield from _names(entry, (*path, index), kind)
            else:
                yield from references(entry, (*path, index))


def broken(document: Document, data: Any, path: Path, world: World) -> Iterator[Fault]:
    """A fault for each reference of `data` (what the document has at `path`) that leads nowhere."""
    for below, kind, name in references(data):
        place = (*path, *below)
        if not world.knows(kind, name):
            yield document.fault(place, missing(kind, name, world))
            continue
        item = world.find(Kind.ITEM, name) if below[-1] == "repository" else None
        if item is not None and item.type is not ItemKind.GIT_REPOSITORY:
            yield document.fault(place, f"item {name!r} is a {item.type}, not a git_repository")


def missing(kind: Kind, name: str, world: World) -> str:
    """The sentence for a name that is not there."""
    if file := world.unstored.get((kind, name)):
        return f"the {kind} {name!r} of {file} is not stored; apply it first, or all together: `dct apply`"
    return f"there is no {kind} {name!r}; {hint(name, world.names(kind))}"
