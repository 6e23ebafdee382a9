"""What a manifest may refer to: the definitions that are stored, and those beside it in its set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests.source import Document

BUILT_IN = frozenset({(Kind.CHANNEL, "outbox")})
"""What is there without a manifest: the channel that writes each message to a file."""


@dataclass(frozen=True)
class Manifest:
    """A definition and the document that it was written in."""

    kind: Kind
    spec: Any
    document: Document

    @property
    def name(self) -> str:
        """The name of what it defines."""
        return str(self.spec.name)


@dataclass(frozen=True)
class World:
    """Definitions by kind and name, each as its model. `generation` tells whether they have changed since.

    `declared` are names whose manifest is there but has faults of its own; `unstored` maps names that are
    in the set, but are not stored by this apply, to their file.
    """

    definitions: Mapping[Kind, Mapping[str, Any]]
    generation: int = 0
    declared: frozenset[tuple[Kind, str]] = frozenset()
    unstored: Mapping[tuple[Kind, str], str] = field(default_factory=dict)

    def find(self, kind: Kind, name: str) -> Any:
        """The definition, or None."""
        return self.definitions.get(kind, {}).get(name)

    def names(self, kind: Kind) -> list[str]:
        """Every name of that kind that may be referred to."""
        given = (name for of, name in self.declared | BUILT_IN if of is kind)
        return sorted({*self.definitions.get(kind, {}), *given})

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether a reference to it is good, or will be once its own faults are corrected."""
        key = (kind, name)
        return self.find(kind, name) is not None or key in self.declared or key in BUILT_IN

    def with_set(
        self,
        manifests: Iterable[Manifest],
        declared: Iterable[tuple[Kind, str]],
        unstored: Mapping[tuple[Kind, str], str],
    ) -> World:
        """This world as it would be once the set is applied."""
        merged = {kind: dict(self.definitions.get(kind, {})) for kind in Kind}
        for manifest in manifests:
            merged[manifest.kind][manifest.name] = manifest.spec
        return World(merged, self.generation, frozenset(declared), unstored)
