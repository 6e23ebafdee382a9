"""Looks whether an item is there before it is stored, so that a typo in a location is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.git import GitPort, RepositoryRef
from dct_pipelines.domain.manifest import ConnectionSpec, ItemSpec, Kind
from dct_pipelines.domain.ports import SecretsPort
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manifests import Fault, InvalidManifests, World

Probe = Callable[[ConnectionSpec, ItemSpec], str]
"""Reads a little of an item and says what is there, or raises what stands in the way."""


@dataclass(frozen=True)
class GitProbe:
    """Looks at repositories: one listing of their references."""

    git: GitPort
    secrets: SecretsPort

    def __call__(self, connection: ConnectionSpec, item: ItemSpec) -> str:
        """Say what the repository holds."""
        reference = connection.credential
        credential = (lambda: self.secrets.read(reference)) if reference is not None else None
        refs = self.git.list_refs(RepositoryRef(item.location, credential=credential))
        if refs.is_empty:
            return "an empty repository, so far"
        unusable = f", {len(refs.rejected)} unusable names" if refs.rejected else ""
        default = f", default {refs.default_branch}" if refs.default_branch else ", no default branch"
        return f"{len(refs.branches)} branches, {len(refs.tags)} tags{default}{unusable}"


def look(changes: Iterable[Change], world: World, probe: Probe) -> list[str]:
    """Warnings about items that cannot be read just now; `InvalidManifests` for those that never will be."""
    warnings: list[str] = []
    faults: list[Fault] = []
    for change in changes:
        if change.kind is not Kind.ITEM or change.verb is Verb.UNCHANGED or change.manifest is None:
            continue
        item: ItemSpec = change.manifest.spec
        connection = world.find(Kind.CONNECTION, item.connection or "")
        if connection is None:
            continue
        try:
            probe(connection, item)
        except DctError as error:
            if error.transient:
                warnings.append(f"item {change.name}: {error}; it is read as soon as it can be")
            else:
                faults.append(change.manifest.document.fault(("location",), str(error)))
    if faults:
        raise InvalidManifests(faults)
    return warnings
