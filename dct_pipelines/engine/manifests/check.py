"""Checks a set of manifests as a whole against what is stored; stores nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dct_pipelines.domain.manifest import FORMS, MODELS, ConnectionSpec
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests import cycles, definitions, triggers
from dct_pipelines.engine.manifests.faults import Fault, InvalidManifests
from dct_pipelines.engine.manifests.models import hint, validated
from dct_pipelines.engine.manifests.source import Document
from dct_pipelines.engine.manifests.world import Manifest, World

EVERY_KIND = frozenset(Kind)


@dataclass(frozen=True)
class Checked:
    """Manifests without a fault, in the order of their dependence, and the world with them in it."""

    manifests: tuple[Manifest, ...]
    world: World


def check(documents: Sequence[Document], stored: World, only: Collection[Kind] = EVERY_KIND) -> Checked:
    """Every manifest of the kinds in `only` as its model, or `InvalidManifests` with every fault of all.

    Manifests of other kinds in the set are left alone: what refers to them needs them stored already.
    """
    kinds = [(document, _kind(document)) for document in documents]
    faults = [kind for _, kind in kinds if isinstance(kind, Fault)]
    mine = [(document, kind) for document, kind in kinds if isinstance(kind, Kind) and kind in only]
    faults += _duplicates(mine)
    manifests: list[Manifest] = []
    for document, kind in mine:
        data = {key: value for key, value in document.data.items() if key != "kind"}
        spec, wrong = validated(document, (), FORMS[kind], data, MODELS[kind])
        faults += wrong
        if spec is not None:
            manifests.append(Manifest(kind, spec, document))
    manifests, wrong = _settled(manifests, stored)
    faults += wrong
    unstored = {
        (kind, name): document.file
        for document, kind in kinds
        if isinstance(kind, Kind) and kind not in only and (name := _name(document))
    }
    declared = [(kind, name) for document, kind in mine if (name := _name(document))]
    world = stored.with_set(manifests, declared, unstored)
    for manifest in manifests:
        if manifest.kind is not Kind.TRIGGER:
            faults += definitions.faults_of(manifest, world)
    for document, kind in mine:
        if kind is Kind.TRIGGER:
            faults += triggers.faults_of(document, world)
    faults += _changed_types(manifests, stored)
    faults += _moved_bases(manifests, stored)
    if not faults:
        faults += _cycles(manifests, world)
    if faults:
        raise InvalidManifests(list(dict.fromkeys(faults)))
    order = list(Kind)
    return Checked(tuple(sorted(manifests, key=lambda one: (order.index(one.kind), one.name))), world)


def _kind(document: Document) -> Kind | Fault:
    if not isinstance(document.data, dict):
        return document.fault((), "a manifest is a mapping that begins with `kind:`")
    kind = document.data.get("kind")
    if kind is None:
        return document.fault((), f"'kind' is missing; {hint('', Kind)}")
    if kind not in list(Kind):
        return document.fault(("kind",), f"there is no kind {kind!r}; {hint(str(kind), Kind)}")
    return Kind(kind)


def _name(document: Document) -> str | None:
    name = document.data.get("name")
    return name if isinstance(name, str) else None


def _duplicates(mine: Sequence[tuple[Document, Kind]]) -> Iterator[Fault]:
    first: dict[tuple[Kind, str], Document] = {}
    for document, kind in mine:
        name = _name(document)
        if name is None:
            continue
        other = first.setdefault((kind, name), document)
        if other is not document:
            place = f"{other.file}:{other.line_of(('name',))}"
            yield document.fault(("name",), f"the {kind} {name!r} is defined at {place} already; remove one")


def _settled(manifests: Sequence[Manifest], stored: World) -> tuple[list[Manifest], list[Fault]]:
    """Locations made absolute: first those of connections, then those of the items that are below them."""
    connections: dict[str, ConnectionSpec] = dict(stored.definitions.get(Kind.CONNECTION, {}))
    good: list[Manifest] = []
    faults: list[Fault] = []
    for manifest in sorted(manifests, key=lambda one: one.kind is not Kind.CONNECTION):
        settled = definitions.settled(manifest, connections)
        if isinstance(settled, Fault):
            faults.append(settled)
            continue
        good.append(settled)
        if settled.kind is Kind.CONNECTION:
            connections[settled.name] = settled.spec
    return good, faults


def _changed_types(manifests: Sequence[Manifest], stored: World) -> Iterator[Fault]:
    """What is stored under a name stays what it is: its events and cursor mean nothing to another type."""
    for manifest in manifests:
        if manifest.kind not in (Kind.CONNECTION, Kind.ITEM):
            continue
        before = stored.find(manifest.kind, manifest.name)
        if before is not None and before.type != manifest.spec.type:
            message = (
                f"{manifest.name!r} is stored as {before.type} and cannot become {manifest.spec.type}; "
                "give this one another name"
            )
            yield manifest.document.fault(("type",), message)


def _moved_bases(manifests: Sequence[Manifest], stored: World) -> Iterator[Fault]:
    """A connection's base cannot move away from under items that are not in the set."""
    in_set = {manifest.name for manifest in manifests if manifest.kind is Kind.ITEM}
    for manifest in manifests:
        before = stored.find(Kind.CONNECTION, manifest.name) if manifest.kind is Kind.CONNECTION else None
        if before is None or before.base == manifest.spec.base:
            continue
        left = [
            name
            for name, item in stored.definitions.get(Kind.ITEM, {}).items()
            if item.connection == manifest.name and name not in in_set
        ]
        if left:
            message = (
                f"items of this connection lie below its old base: {', '.join(left[:10])}; apply them with it"
            )
            yield manifest.document.fault(("base",), message)


def _cycles(manifests: Sequence[Manifest], world: World) -> Iterator[Fault]:
    mine: Mapping[str, Document] = {one.name: one.document for one in manifests if one.kind is Kind.TRIGGER}
    for circle in cycles.cycles(world):
        ring = " → ".join([*circle, circle[0]])
        for name in circle:
            if name in mine:
                message = (
                    f"a cycle: {ring} fire each other by what they write; narrow a branch or leave it out"
                )
                yield mine[name].fault(("on_own_writes",), message)
