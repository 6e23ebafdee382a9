"""Merges one branch into another, or a pull request: at the repository itself, or through its git host."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionFailed, InvalidInput
from dct_pipelines.domain.git_refs import as_oid
from dct_pipelines.domain.hosting.hosted import needed_host
from dct_pipelines.domain.hosting.merging import RequestMerge, merge_request
from dct_pipelines.domain.hosting.merging import merge_branches as merge_at_host
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.merging import Merge, Merged, merge
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts

NO_REQUEST = "0"
"""What `create_pull_request` gives where there was nothing to ask for."""
Number = Annotated[str, BeforeValidator(lambda given: str(given) if type(given) is int else given)]


class MergeBranchesConfig(ActionConfig):
    """`repository` is the name of a context item; `source` and `target` are branches of it."""

    repository: str
    source: str = ""
    target: str = ""
    message: str = ""
    """Of the merge commit; empty is "Merge <source> into <target>", or the title of the pull request."""
    through: Literal["git", "host"] = "git"
    pull_request: Number = ""
    """Instead of the branches: the number of a pull request, which its host merges."""
    head: str = ""
    """Merge the pull request only at this commit; empty is wherever it is."""
    method: Literal["merge", "squash", "rebase"] = "merge"

    @model_validator(mode="after")
    def _branches_or_request(self) -> Self:
        if self.pull_request:
            if self.source or self.target:
                raise ValueError("give either pull_request, or source and target")
        elif not {"source", "target"} <= self.model_fields_set:
            raise ValueError("give source and target, or pull_request")
        elif self.head or self.method != "merge":
            raise ValueError("head and method are for a pull_request")
        return self


def run(context: ActionContext, config: MergeBranchesConfig, ports: ActionPorts) -> Outcome:
    """Merge unless the target contains the source already. A conflict fails with the names of the files."""
    if config.pull_request:
        return _merge_request(context, config, ports)
    message = config.message.strip() or f"Merge {config.source} into {config.target}"
    repository = ports.library.repository(config.repository)
    asked = Merge(repository, config.source, config.target, message)
    if config.through == "git":
        merged = merge(context, ports, asked)
    else:
        hosted = needed_host(ports.library, ports.connections, config.repository, "a merge through the host")
        merged = merge_at_host(context, ports, hosted, asked)
    if not merged.merged:
        words = f"{config.target} contains {config.source} already"
        return nothing_to_do(words, **_told(merged, config.target))
    words = f"merged {config.source} into {config.target} as {merged.commit[:8]}"
    return done(words, **_told(merged, config.target))


def _merge_request(context: ActionContext, config: MergeBranchesConfig, ports: ActionPorts) -> Outcome:
    if config.pull_request == NO_REQUEST:
        nowhere: dict[str, Any] = {"commit": "", "source_commit": "", "target": "", "merged": False}
        return nothing_to_do("there was nothing to open a pull request for", **nowhere)
    hosted = needed_host(ports.library, ports.connections, config.repository, "a pull request")
    asked = RequestMerge(
        ports.library.repository(config.repository),
        hosted,
        _number(config.pull_request),
        _head(config.head),
        config.method,
        config.message.strip(),
    )
    merged, request = merge_request(context, ports, asked)
    told = _told(merged, request.target)
    if not merged.merged:
        return nothing_to_do(f"pull request {request.number} is merged already", **told)
    words = f"merged pull request {request.number} into {shown(request.target)} as {merged.commit[:8]}"
    return done(words, **told)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ActionFailed(f"{shown(text)!r} is not the number of a pull request")
    return int(text)


def _head(text: str) -> str:
    try:
        return as_oid(text) if text else ""
    except InvalidInput as fault:
        raise ActionFailed(str(fault)) from fault


def _told(merged: Merged, target: str) -> dict[str, Any]:
    return {
        "commit": merged.commit,
        "source_commit": merged.source_commit,
        "target": target,
        "merged": merged.merged,
    }


ACTION = ActionType(
    kind="merge_branches",
    summary="Merges one branch into another by a merge commit, or a pull request at its host.",
    config=MergeBranchesConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"commit", "source_commit", "target", "merged"}),
    example={"repository": "shop", "source": "{{ event.branch }}", "target": "qa"},
)
