"""A small set of manifests, and what is wrong with a changed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines.engine.manifests import Fault, InvalidManifests, World, check
from dct_pipelines.engine.manifests.check import Checked
from dct_pipelines.engine.manifests.source import parse_text

LIBRARY = """
kind: connection
name: local
type: git
---
kind: item
name: app
type: git_repository
connection: local
location: repositories/app.git
"""
BASE = f"{LIBRARY}---\nkind: trigger\nname: ready\n"

TRIGGER = """items: [app]
conditions:
  - type: branch_ready
    config: {branch: feature/*}
actions:
  - type: merge_branches
    config: {repository: app, source: "{{ event.branch }}", target: qa}
"""
NOTIFY = """  - type: notify_users
    config: {channels: [{channel: outbox}], subject: hello, text: "%s"}
"""


def checked(text: str, stored: World | None = None) -> Checked:
    """The checked set of one file."""
    documents, faults = parse_text(text, "team.yaml", Path("/srv/manifests"))
    assert faults == []
    return check(documents, stored or World({}))


def faults(text: str, stored: World | None = None) -> list[Fault]:
    """Its faults; there must be one."""
    with pytest.raises(InvalidManifests) as caught:
        checked(text, stored)
    return list(caught.value.faults)


def only_fault(text: str, stored: World | None = None) -> str:
    """Its one fault, as it is told."""
    found = faults(text, stored)
    assert len(found) == 1, "\n".join(map(str, found))
    return str(found[0])
