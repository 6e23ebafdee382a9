"""Where a test suite runs, what its end means, and the check that is reported about it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.commands import why_it_failed
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, InvalidInput
from dct_pipelines.domain.git_refs import Oid, as_oid, branch_ref
from dct_pipelines.domain.hosting.reporting import show_check
from dct_pipelines.domain.junit import Tally, tally, tally_of_summary
from dct_pipelines.domain.merging import head_of
from dct_pipelines.domain.operations import Check, SuiteSpec
from dct_pipelines.domain.ports import ActionPorts, Repository, SuiteRequest, SuiteRun
from dct_pipelines.domain.words import CheckState, WorkspaceState

_LONGEST_SUMMARY = 2000


@dataclass(frozen=True)
class Place:
    """A commit and where it is tested.

    A check named like the suite is about the commit alone. An environment has more to it than its commit, and
    a workspace files that are not committed: they get checks of their own (`unit@qa`, `unit@workspace`).
    """

    repository: Repository
    commit: Oid
    workspace_id: UUID | None = None
    environment: str | None = None

    def check_name(self, suite: str) -> str:
        """The name under which the result is reported."""
        if self.workspace_id:
            return f"{suite}@workspace"
        return f"{suite}@{self.environment}" if self.environment else suite


@dataclass(frozen=True)
class Judged:
    """What a run means: passed or not, the counts, and in words."""

    passed: bool
    tally: Tally
    words: str


def place_in_workspace(ports: ActionPorts, workspace_id: str) -> Place:
    """An open workspace, at what is committed there now."""
    try:
        workspace = ports.records.get_workspace(UUID(workspace_id))
    except ValueError:
        raise ActionFailed(f"{workspace_id!r} is not the id of a workspace") from None
    if workspace.state is not WorkspaceState.OPEN:
        raise ActionFailed(f"{workspace.title} is {workspace.state}; tests need an open workspace")
    repository = ports.library.repository_by_id(workspace.repository_item_id)
    directory = ports.workspaces.directory_for(workspace.id)
    head = ports.git.collect_worktree(repository.ref, workspace.branch, directory)
    return Place(repository, head, workspace_id=workspace.id)


def place_in_environment(ports: ActionPorts, name: str) -> Place:
    """What the environment runs now, in its release directory."""
    environment = ports.library.environment(name)
    deployed = ports.records.current_deployment(name)
    if deployed is None:
        raise ActionFailed(f"nothing was deployed to {name} yet; deploy before testing there")
    return Place(ports.library.repository(environment.repository), Oid(deployed.commit), environment=name)


def place_in_repository(ports: ActionPorts, name: str, branch: str, commit: str) -> Place:
    """A commit, or the head of a branch, in a fresh export."""
    repository = ports.library.repository(name)
    if branch:
        head = head_of(ports, repository, branch)
        ports.git.fetch(repository.ref, {branch_ref(branch): head})
        return Place(repository, head)
    try:
        return Place(repository, as_oid(commit))
    except InvalidInput as fault:
        raise ActionFailed(str(fault)) from fault


def told_earlier(context: ActionContext, ports: ActionPorts, place: Place, suite: str) -> Judged | None:
    """The result that this suite has there already, if it can be relied on.

    A failure without counts (a timeout, a command that broke) says little about the commit, and a new
    attempt is asked for by somebody who wants to see the tests run again: neither is reused.
    """
    check = ports.records.find_check(place.repository.item_id, place.commit, place.check_name(suite))
    if check is None or place.workspace_id:
        return None
    counts = tally_of_summary(check.summary)
    if check.state is CheckState.SUCCESS:
        return Judged(True, counts or Tally(), f"tested already: {check.summary}")
    if check.state is CheckState.FAILURE and counts and context.attempt == 1:
        return Judged(False, counts, f"tested already: {check.summary}")
    return None


def judge(context: ActionContext, ports: ActionPorts, place: Place, suite: SuiteSpec) -> Judged:
    """Run the suite and judge how it ended."""
    request = SuiteRequest(
        suite=suite,
        repository=place.repository,
        commit=place.commit,
        key=context.idempotency_key,
        log=context.log,
        is_cancelled=context.is_cancelled,
        workspace_id=place.workspace_id,
        environment=place.environment,
    )
    ran = ports.suites.run(request)
    if ran.process.cancelled:
        raise ActionInterrupted(f"cancelled while {suite.name} ran")
    return judgement(suite, ran)


def judgement(suite: SuiteSpec, ran: SuiteRun) -> Judged:
    """A suite is judged by its JUnit and its exit code; one that writes no JUnit by the code alone."""
    try:
        counts = tally(ran.reports) if not ran.process.killed else Tally()
    except ActionFailed as fault:
        return Judged(False, Tally(), str(fault))
    if ran.process.killed or (not ran.process.succeeded and not counts.failed):
        return Judged(False, counts, f"the command {why_it_failed(ran.process, suite.limits)}")
    if suite.junit is None:
        return Judged(True, counts, "the command ended with exit code 0")
    if not counts.tests:
        return Judged(
            False, counts, f"no test was found in {suite.junit!r}, which is no pass; check the suite's junit"
        )
    words = str(counts) if counts.failed or counts.is_pass else f"{counts}, which is no pass"
    return Judged(counts.is_pass, counts, words)


def reported(ports: ActionPorts, place: Place, suite: str, judged: Judged) -> None:
    """Report the result as a check on the commit. Its event is one of our own making."""
    name = place.check_name(suite)
    ports.records.expect_own_write(place.repository.item_id, f"check:{place.commit}:{name}")
    ports.records.report_check(
        Check(
            repository_item_id=place.repository.item_id,
            commit=place.commit,
            name=name,
            state=_state(judged),
            summary=judged.words[:_LONGEST_SUMMARY],
            reported_at=ports.clock.now(),
        )
    )


def shown_at_host(ports: ActionPorts, place: Place, suite: str, judged: Judged) -> str:
    """Show the check at the repository's git host, under the same name; in words why it is not shown.

    What a workspace holds may not be there.
    """
    if place.workspace_id is not None:
        return ""
    return show_check(
        ports,
        place.repository.name,
        commit=place.commit,
        name=place.check_name(suite),
        state=_state(judged),
        summary=judged.words[:_LONGEST_SUMMARY],
    )


def _state(judged: Judged) -> CheckState:
    return CheckState.SUCCESS if judged.passed else CheckState.FAILURE
