"""References between definitions, found by the keys that hold them, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.words import ItemKind, Kind
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
DEPLOY_REFERS: Mapping[str, Kind] = MappingProxyType({**REFERS, "workspace": Kind.DRAFT})
"""In `deploy_environment` a workspace is one to open, from a draft; elsewhere it is the id of an open one."""


def references(
    data: Any, refers: Mapping[str, Kind] = REFERS, path: Path = ()
) -> Iterator[tuple[Path, Kind, str]]:
    """Where `data` refers to which definition; names that are templates are only known when it fires."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _below(value, refers, (*path, key), refers.get(key))
    elif isinstance(data, (list, tuple)):
        for index, value in enumerate(data):
            yield from references(value, refers, (*path, index))


def _below(
    value: Any, refers: Mapping[str, Kind], path: Path, kind: Kind | None
) -> Iterator[tuple[Path, Kind, str]]:
    if kind is not None and isinstance(value, str):
        if value and not is_template(value):
            yield path, kind, value
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _below(entry, refers, (*path, index), kind)
    else:
        yield from references(value, refers, path)


def broken(
    document: Document, data: Any, path: Path, world: World, refers: Mapping[str, Kind] = REFERS
) -> Iterator[Fault]:
    """A fault for each reference of `data` (what the document has at `path`) that leads nowhere."""
    for below, kind, name in references(data, refers):
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
