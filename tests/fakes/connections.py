"""Connections as actions use them, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.hosting.port import CodeHostPort
from dct_pipelines.domain.tracking.port import TrackerPort


@dataclass
class FakeConnections:
    """Trackers and git hosts by the name of their connection; add to the dictionaries at will."""

    trackers: dict[str, TrackerPort] = field(default_factory=dict)
    hosts: dict[str, CodeHostPort] = field(default_factory=dict)

    def tracker(self, connection: str) -> TrackerPort:
        if connection not in self.trackers:
            raise NotFound(f"there is no connection {connection!r} to a ticket tracker")
        return self.trackers[connection]

    def code_host(self, connection: str) -> CodeHostPort:
        if connection not in self.hosts:
            raise NotFound(f"there is no connection {connection!r} to a git host")
        return self.hosts[connection]
