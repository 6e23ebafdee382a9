"""What two benchmarks begin with: one repository, and very many triggers that watch a branch of it each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from dct_pipelines.bootstrap import App
from dct_pipelines.engine.manage.manager import Wanted
from dct_pipelines.engine.manifests import read_documents

REPOSITORY = "large.git"
"""Below the root of the benchmark."""
Document = Mapping[str, object]


def apply(app: App, root: Path, triggers: int, actions: Sequence[Document], *more: Document) -> None:
    """Have so many triggers with these actions, and whatever else these need."""
    documents: list[Document] = [
        {"kind": "connection", "name": "here", "type": "git"},
        {
            "kind": "item",
            "name": "large",
            "type": "git_repository",
            "connection": "here",
            "location": str(root / REPOSITORY),
        },
        *more,
        *(_trigger(number, actions) for number in range(triggers)),
    ]
    path = root / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    found, faults = read_documents([path])
    if faults:
        raise SystemExit("\n".join(map(str, faults)))
    app.manager.apply(Wanted(found, by="local"))


def _trigger(number: int, actions: Sequence[Document]) -> Document:
    ready = {"branch": f"feature/{number}", "target_branch": "qa"}
    return {
        "kind": "trigger",
        "name": f"trigger-{number}",
        "items": ["large"],
        "conditions": [{"type": "branch_ready", "config": ready}],
        "actions": list(actions),
    }
