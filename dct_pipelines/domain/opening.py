"""Opening a workspace from a draft, and refreshing the context in it; for several actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.bundle import Bundle, digest_of, render_bundle
from dct_pipelines.domain.errors import ActionFailed, InvalidInput
from dct_pipelines.domain.git_refs import Oid, as_oid, branch_ref
from dct_pipelines.domain.merging import head_of
from dct_pipelines.domain.operations import DraftSpec, Workspace
from dct_pipelines.domain.ports import ActionPorts, Repository
from dct_pipelines.domain.scope import event_values
from dct_pipelines.domain.template import render
from dct_pipelines.domain.words import WorkspaceState

_LONGEST_TITLE = 200


@dataclass(frozen=True)
class Opening:
    """What is asked. Empty texts leave it to the draft; `context` and `deliverables` are added to its own."""

    draft: str
    title: str = ""
    base: str = ""
    commit: str = ""
    context: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()


def workspace_id_of(execution_id: UUID, name: str) -> UUID:
    """The id of the workspace that an execution's action makes: the same in every attempt."""
    return uuid5(execution_id, name)


def open_workspace(context: ActionContext, ports: ActionPorts, asked: Opening) -> tuple[Workspace, bool]:
    """The workspace of this action, and whether it was made now; a half-made one is completed."""
    found = ports.records.find_workspace(context.execution_id, context.name)
    if found and found.state is not WorkspaceState.CREATING:
        return found, False
    draft = ports.library.draft(asked.draft)
    repository = ports.library.repository(draft.repository)
    workspace = found or _planned(context, ports, asked, draft, repository)
    ports.records.save_workspace(workspace)
    ports.git.fetch(
        repository.ref, {branch_ref(_base(ports, repository, asked, draft)): Oid(workspace.start_commit)}
    )
    ports.workspaces.open(workspace.id, repository, workspace.branch, Oid(workspace.start_commit))
    bundle = bundle_of(ports, workspace, asked.context)
    ports.workspaces.write(workspace.id, render_bundle(bundle))
    opened = workspace.model_copy(update={"state": WorkspaceState.OPEN, "context_digest": digest_of(bundle)})
    ports.records.save_workspace(opened)
    return opened, True


def bundle_of(ports: ActionPorts, workspace: Workspace, context: Sequence[str]) -> Bundle:
    """What the context bundle says now: the items of its draft, and those named here."""
    draft = ports.library.draft(workspace.draft) if workspace.draft else None
    names = dict.fromkeys((*(draft.context if draft else ()), *context))
    return Bundle(
        workspace=workspace,
        repository=ports.library.repository_by_id(workspace.repository_item_id).name,
        instructions=draft.instructions if draft else "",
        suites=[ports.library.suite(name) for name in workspace.suites],
        event=event_values(ports.event),
        items=[dict(ports.library.context_item(name)) for name in names],
    )


def _planned(
    context: ActionContext, ports: ActionPorts, asked: Opening, draft: DraftSpec, repository: Repository
) -> Workspace:
    workspace_id = workspace_id_of(context.execution_id, context.name)
    scope = {
        "event": event_values(ports.event),
        "trigger": {"name": context.trigger_name},
        "execution": {"id": str(context.execution_id)},
        "workspace": {"id": str(workspace_id), "short_id": str(workspace_id)[:8]},
    }
    branch = render(draft.branch, scope)
    branch_ref(branch)
    now = ports.clock.now()
    base = _base(ports, repository, asked, draft)
    start = _commit(asked.commit) if asked.commit else head_of(ports, repository, base)
    title = " ".join((asked.title or render(draft.title, scope)).split())
    return Workspace(
        id=workspace_id,
        title=title[:_LONGEST_TITLE] or draft.name,
        draft=draft.name,
        repository_item_id=repository.item_id,
        branch=branch,
        start_commit=start,
        directory=str(ports.workspaces.directory_for(workspace_id)),
        state=WorkspaceState.CREATING,
        execution_id=context.execution_id,
        suites=draft.suites,
        deliverables=asked.deliverables,
        created_at=now,
        retain_until=now + timedelta(days=draft.retention_days),
    )


def _base(ports: ActionPorts, repository: Repository, asked: Opening, draft: DraftSpec) -> str:
    if named := asked.base or draft.base:
        return named
    if default := ports.git.list_refs(repository.ref).default_branch:
        return default
    raise ActionFailed(f"{repository.name} has no default branch; name a base in the draft {draft.name}")


def _commit(text: str) -> Oid:
    try:
        return as_oid(text)
    except InvalidInput as fault:
        raise ActionFailed(str(fault)) from fault
