"""Looks whether an item is there before it is stored, so that a typo in a location is said at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dct_pipelines.domain.connected import ConnectionPort
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.manifest import ConnectionSpec, ItemSpec, plain
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manifests import Fault, InvalidManifests, World

Probe = Callable[[ConnectionSpec, ItemSpec], str]
"""Reads a little of an item and says what is there, or raises what stands in the way."""
LOOKED_AT_MOST = 50
"""Items of one connection that are looked at by one apply: each look is a call of its provider."""


class Clients(Protocol):
    """Makes the client of a connection, whether it is stored or not."""

    def candidate(self, spec: Mapping[str, Any]) -> ConnectionPort:
        """The client of a connection as its manifest, as plain data, has it."""


@dataclass(frozen=True)
class ClientProbe:
    """Looks through the client of the item's connection."""

    clients: Clients

    def __call__(self, connection: ConnectionSpec, item: ItemSpec) -> str:
        """Say what is at the item's location."""
        return self.clients.candidate(plain(connection)).look(item.type, item.location, item.config)


def look(changes: Iterable[Change], world: World, probe: Probe) -> list[str]:
    """Warnings about items that cannot be read just now; `InvalidManifests` for those that never will be."""
    warnings: list[str] = []
    faults: list[Fault] = []
    looked: Counter[str] = Counter()
    for change in changes:
        if change.kind is not Kind.ITEM or change.verb is Verb.UNCHANGED or change.manifest is None:
            continue
        item: ItemSpec = change.manifest.spec
        connection = world.find(Kind.CONNECTION, item.connection or "")
        if connection is None:
            continue
        looked[connection.name] += 1
        if looked[connection.name] > LOOKED_AT_MOST:
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
    for name, count in looked.items():
        if count > LOOKED_AT_MOST:
            more = count - LOOKED_AT_MOST
            warnings.append(
                f"{more} more items of {name} were not looked at; `dct status` tells how they are read"
            )
    return warnings
