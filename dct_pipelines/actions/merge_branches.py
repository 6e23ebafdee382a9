"""Merges one branch into another, at the repository, by a merge commit of its own."""

from __future__ import annotations

from typing import Any

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.merging import Merge, merge
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts


class MergeBranchesConfig(ActionConfig):
    """`repository` is the name of a context item; `source` and `target` are branches of it."""

    repository: str
    source: str
    target: str
    message: str = ""
    """Of the merge commit; empty is "Merge <source> into <target>"."""


def run(context: ActionContext, config: MergeBranchesConfig, ports: ActionPorts) -> Outcome:
    """Merge unless the target contains the source already. A conflict fails with the names of the files."""
    message = config.message.strip() or f"Merge {config.source} into {config.target}"
    repository = ports.library.repository(config.repository)
    merged = merge(context, ports, Merge(repository, config.source, config.target, message))
    outputs: dict[str, Any] = {
        "commit": merged.commit,
        "source_commit": merged.source_commit,
        "target": config.target,
        "merged": merged.merged,
    }
    if not merged.merged:
        return nothing_to_do(f"{config.target} contains {config.source} already", **outputs)
    return done(f"merged {config.source} into {config.target} as {merged.commit[:8]}", **outputs)


ACTION = ActionType(
    kind="merge_branches",
    summary="Merges one branch into another by a merge commit.",
    config=MergeBranchesConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"commit", "source_commit", "target", "merged"}),
    example={"repository": "shop", "source": "{{ event.branch }}", "target": "qa"},
)
