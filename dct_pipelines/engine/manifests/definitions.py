"""What connections, items, environments, suites, channels and drafts must keep besides their models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain import template
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.git_refs import branch_ref
from dct_pipelines.domain.manifest import ConnectionSpec, ItemSpec
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, HealthCheck
from dct_pipelines.domain.scope import draft_names
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests import locations
from dct_pipelines.engine.manifests.faults import Fault
from dct_pipelines.engine.manifests.models import hint, validated
from dct_pipelines.engine.manifests.references import broken
from dct_pipelines.engine.manifests.source import Document
from dct_pipelines.engine.manifests.world import Manifest, World


def settled(manifest: Manifest, connections: Mapping[str, ConnectionSpec]) -> Manifest | Fault:
    """The manifest with its location or base made absolute, or why that cannot be."""
    match manifest.spec:
        case ConnectionSpec(base=str(written)) as connection:
            listener = registry.listeners().get(connection.type)
            schemes = listener.base_schemes if listener is not None else ()
            if schemes and (fault := locations.base_fault(written, schemes)):
                return manifest.document.fault(("base",), fault)
            return _placed(manifest, "base", written, None)
        case ItemSpec(location=written) as item if item.type.is_dynamic:
            through = connections.get(item.connection or "")
            listener = registry.listeners().get(through.type) if through is not None else None
            if listener is not None and not listener.has_places:
                return manifest
            base = (through.base if through else None) or (listener.default_base if listener else None)
            return _placed(manifest, "location", written, base)
    return manifest


def _placed(manifest: Manifest, key: str, written: str, base: str | None) -> Manifest | Fault:
    document = manifest.document
    if fault := locations.secret_fault(written):
        return document.fault((key,), fault)
    place = locations.absolute(written, document.folder) if base is None else locations.below(base, written)
    if place is None:
        return document.fault((key,), f"{written!r} is not below {base!r}, the base of its connection")
    return Manifest(manifest.kind, manifest.spec.model_copy(update={key: place}), document)


def faults_of(manifest: Manifest, world: World) -> Iterator[Fault]:
    """Everything that is wrong with one definition that is not a trigger."""
    spec, document = manifest.spec, manifest.document
    yield from broken(document, _referring(document.data, manifest.kind), (), world)
    match spec:
        case ConnectionSpec():
            yield from _connection(spec, document)
        case ItemSpec():
            yield from _item(spec, document, world)
        case EnvironmentSpec():
            yield from _branch(document, ("branch",), spec.branch)
            if spec.health_check is not None:
                yield from _health_check(spec.health_check, document)
        case DraftSpec():
            yield from _draft(spec, document)
    yield from _secrets_in_urls(document, document.data, ())


def _referring(data: Any, kind: Kind) -> dict[str, Any]:
    """Only the keys of its own: an item's config and an environment's variables are not references."""
    own = {
        Kind.ITEM: ("connection",),
        Kind.ENVIRONMENT: ("repository",),
        Kind.DRAFT: ("repository", "context", "suites"),
    }
    return {key: data[key] for key in own.get(kind, ()) if key in data}


def _connection(spec: ConnectionSpec, document: Document) -> Iterator[Fault]:
    listener = registry.listeners().get(spec.type)
    if listener is None:
        known = hint(spec.type, registry.listeners())
        yield document.fault(("type",), f"there is no type of connection {spec.type!r}; {known}")
        return
    if spec.base is None and listener.default_base is None:
        if listener.base_schemes:
            message = f"'base' is missing; add the URL of the host, as {listener.base_schemes[0]}://..."
            yield document.fault((), message)
        elif spec.credential is not None:
            message = "a credential is only sent below a base; add `base`, what the items have in common"
            yield document.fault(("credential",), message)
    config = document.data.get("config", {})
    yield from validated(document, ("config",), listener.connection_config, config)[1]


def _item(spec: ItemSpec, document: Document, world: World) -> Iterator[Fault]:
    if not spec.type.is_dynamic:
        if spec.connection is not None:
            yield document.fault(
                ("connection",), f"a {spec.type} is not read through a connection; remove it"
            )
        return
    if spec.connection is None:
        yield document.fault((), f"'connection' is missing; a {spec.type} is read through one")
        return
    connection = world.find(Kind.CONNECTION, spec.connection)
    if connection is None or connection.type not in registry.listeners():
        return
    listener = registry.listener(connection.type)
    if spec.type not in listener.item_kinds:
        known = hint(spec.type, listener.item_kinds)
        message = f"a connection of type {connection.type!r} has no {spec.type}; {known}"
        yield document.fault(("type",), message)
        return
    yield from validated(document, ("config",), listener.item_config, document.data.get("config", {}))[1]
    if not listener.has_places and (fault := listener.location_fault(spec.type, spec.location)):
        yield document.fault(("location",), f"{shown(spec.location)}: {fault}")


def _branch(document: Document, path: tuple[str], name: str) -> Iterator[Fault]:
    try:
        branch_ref(name)
    except InvalidInput as error:
        yield document.fault(path, str(error))


def _health_check(check: HealthCheck, document: Document) -> Iterator[Fault]:
    if (check.url is None) is (check.command is None):
        yield document.fault(("health_check",), "it needs a url or a command, one of the two")


def _draft(spec: DraftSpec, document: Document) -> Iterator[Fault]:
    if spec.base:
        yield from _branch(document, ("base",), spec.base)
    for key in ("title", "branch", "instructions"):
        for fault in template.check(getattr(spec, key), draft_names()):
            yield document.fault((key,), fault)


def _secrets_in_urls(document: Document, data: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "url" and isinstance(value, str) and (fault := locations.secret_fault(value)):
                yield document.fault((*path, key), fault)
            yield from _secrets_in_urls(document, value, (*path, str(key)))
