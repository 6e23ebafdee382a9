"""Every git host, the fake one included: what actions ask of it gets the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.hosting.port import CodeHostPort, HostedRequest, NewRequest
from dct_pipelines.domain.words import CheckState
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.git import FakeGit
from tests.fakes.github_server import github_server
from tests.fakes.github_world import GitHubWorld
from tests.fakes.gitlab_server import GitLabServer
from tests.fakes.ports import FakeClock
from tests.support.hosted import Hosted, gitea, gitlab

REPOSITORY = "acme/shop"
KEY = "00000000-0000-5000-8000-00000000000a"


@dataclass
class HostCase:
    """A host with `main`, `qa` (at `main`) and `feature/pay`, one clean commit ahead of both.

    `push` commits a file's content on a branch (its new head); `finish` ends a run; `checks` are the states
    of a commit's checks by name; `deployed` are (commit, environment, last state) of each deployment.
    """

    port: CodeHostPort
    head: Callable[[str], str]
    push: Callable[[str, str, str], str]
    finish: Callable[[str, CheckState], None]
    checks: Callable[[str], Mapping[str, CheckState]]
    deployed: Callable[[], list[tuple[str, str, str]]]
    workflow: str = "deploy.yml"
    merges_branches: bool = True
    """Whether the host can merge branches without a pull request."""
    keeps_deployments: bool = True
    """Whether the host has a place for deployments."""


def _fake(_directory: Path) -> Iterator[HostCase]:
    git = FakeGit()
    shop = git.repository("/srv/shop.git")
    base = shop.commit("main", {"a.txt": "1\n"})
    shop.branch("qa", base)
    shop.commit("feature/pay", {"a.txt": "2\n"}, parents=[base])
    host = FakeCodeHost(git, {REPOSITORY: shop})
    yield HostCase(
        port=host,
        head=lambda branch: str(shop.head(branch)),
        push=lambda branch, name, text: shop.commit(branch, {name: text}),
        finish=host.finish,
        checks=lambda commit: {name: state for (of, name), (state, _) in host.checks.items() if of == commit},
        deployed=lambda: [(one.commit, one.environment, one.states[-1]) for one in host.deployments.values()],
    )


def _github(_directory: Path) -> Iterator[HostCase]:
    world = GitHubWorld(FakeClock())
    base = world.shop.commit("main", {"a.txt": "1\n"})
    world.shop.branch("qa", base)
    world.shop.commit("feature/pay", {"a.txt": "2\n"}, parents=[base])

    def finish(run_id: str, state: CheckState) -> None:
        [run] = [run for run in world.runs if str(run["id"]) == run_id]
        run |= {"status": "completed", "conclusion": str(state)}

    with github_server(world) as server:
        client = server.client()
        reader = client.reader(f"{server.url}/{REPOSITORY}")
        yield HostCase(
            port=client,
            head=lambda branch: str(world.shop.head(branch)),
            push=lambda branch, name, text: world.push(branch, {name: text}),
            finish=finish,
            checks=lambda commit: {
                name: check.state for name, check in reader.checks([commit])[commit].items()
            },
            deployed=lambda: [
                (one["sha"], one["environment"], one["states"][-1]) for one in world.deployments
            ],
        )


def _hosted(hosted: Hosted[Any, Any], **differences: Any) -> HostCase:
    world = hosted.world
    base = world.shop.head("main")
    assert base is not None
    world.shop.commit("feature/pay", {"a.txt": "2\n"}, parents=[base])
    reader = hosted.client.reader(hosted.location())
    return HostCase(
        port=hosted.client,
        head=lambda branch: str(world.shop.head(branch)),
        push=lambda branch, name, text: world.shop.commit(branch, {name: text}),
        finish=world.code.finish,
        checks=lambda commit: {name: one.state for name, one in reader.checks([commit])[commit].items()},
        **differences,
    )


def _gitlab(_directory: Path) -> Iterator[HostCase]:
    with gitlab() as hosted:
        server: GitLabServer = hosted.server

        def deployed() -> list[tuple[str, str, str]]:
            return [(one["sha"], one["environment"]["name"], one["status"]) for one in server.deployments]

        yield _hosted(hosted, deployed=deployed, merges_branches=False)


def _gitea(_directory: Path) -> Iterator[HostCase]:
    with gitea() as hosted:
        yield _hosted(hosted, deployed=list, merges_branches=False, keeps_deployments=False)


HOSTS: dict[str, Callable[[Path], Iterator[HostCase]]] = {
    "fake": _fake,
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea,
}


@pytest.fixture(params=HOSTS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostCase]:
    yield from HOSTS[request.param](tmp_path)


def opened(case: HostCase, **changes: object) -> HostedRequest:
    wanted = {
        "repository": REPOSITORY,
        "source": "feature/pay",
        "target": "qa",
        "title": "Pay by card",
        "body": "What for.\n\n<!-- dct:key -->",
    }
    return case.port.open_request(NewRequest(**(wanted | changes)))  # type: ignore[arg-type] # a test's own


def merge(case: HostCase, number: int, head: str | None = None, method: str = "merge") -> str:
    head = head or case.head("feature/pay")
    message = "Merge it\n\nDct-Step: step"
    return case.port.merge_request(REPOSITORY, number, head=head, method=method, message=message).state


def test_a_request_is_opened_and_found_and_read(case: HostCase) -> None:
    assert case.port.find_open_request(REPOSITORY, "feature/pay", "qa") is None
    request = opened(case)
    assert (request.title, request.source, request.target) == ("Pay by card", "feature/pay", "qa")
    assert (request.is_open, request.is_merged, request.head) == (True, False, case.head("feature/pay"))
    assert request.url.startswith("http")
    assert case.port.find_open_request(REPOSITORY, "feature/pay", "qa") == request
    assert case.port.request(REPOSITORY, request.number) == request


def test_a_request_to_another_branch_is_another_one(case: HostCase) -> None:
    opened(case)
    assert case.port.find_open_request(REPOSITORY, "feature/pay", "main") is None


def test_opening_a_request_that_is_open_gives_that_one(case: HostCase) -> None:
    assert opened(case, title="Once more").number == opened(case).number


def test_a_request_that_does_not_exist_is_an_explained_failure(case: HostCase) -> None:
    with pytest.raises(ActionFailed):
        case.port.request(REPOSITORY, 4711)


def test_a_request_is_merged_once(case: HostCase) -> None:
    number = opened(case).number
    assert merge(case, number) == "merged"
    assert case.port.request(REPOSITORY, number).is_merged
    assert case.port.find_open_request(REPOSITORY, "feature/pay", "qa") is None
    assert merge(case, number) == "contained"


def test_a_merge_says_where_the_target_went(case: HostCase) -> None:
    merged = case.port.merge_request(
        REPOSITORY, opened(case).number, head=case.head("feature/pay"), method="merge", message="Merge it"
    )
    assert merged.commit == case.head("qa")


def test_a_request_whose_head_has_moved_is_not_merged(case: HostCase) -> None:
    number, seen, before = opened(case).number, case.head("feature/pay"), case.head("qa")
    case.push("feature/pay", "b.txt", "more\n")
    assert merge(case, number, head=seen) == "moved"
    assert case.head("qa") == before


def test_a_request_in_conflict_is_not_merged(case: HostCase) -> None:
    number = opened(case).number
    before = case.push("qa", "a.txt", "3\n")
    assert merge(case, number) == "conflict"
    assert case.head("qa") == before


def test_branches_are_merged_where_the_host_can(case: HostCase) -> None:
    merged = case.port.merge_branches(
        REPOSITORY, source=case.head("feature/pay"), target="qa", message="Merge"
    )
    if not case.merges_branches:
        assert (merged.state, bool(merged.reason)) == ("refused", True)
        return
    assert (merged.state, merged.commit) == ("merged", case.head("qa"))
    again = case.port.merge_branches(REPOSITORY, source="feature/pay", target="qa", message="Merge")
    assert again.state == "contained"


def test_a_run_that_was_started_is_found_by_its_key_and_followed_to_its_end(case: HostCase) -> None:
    asked = {"workflow": case.workflow, "ref": "qa", "key": KEY}
    assert case.port.find_run(REPOSITORY, **asked) is None
    case.port.dispatch(REPOSITORY, inputs={"commit": "c" * 40}, **asked)
    run = case.port.find_run(REPOSITORY, **asked)
    assert run is not None
    assert run.state is CheckState.PENDING
    assert case.port.find_run(REPOSITORY, **(asked | {"key": "another"})) is None
    case.finish(run.id, CheckState.FAILURE)
    ended = case.port.run(REPOSITORY, run.id)
    assert (ended.state, ended.url) == (CheckState.FAILURE, run.url)


def test_a_run_says_that_it_succeeded(case: HostCase) -> None:
    asked = {"workflow": case.workflow, "ref": "qa", "key": KEY}
    case.port.dispatch(REPOSITORY, inputs={}, **asked)
    run = case.port.find_run(REPOSITORY, **asked)
    assert run is not None
    case.finish(run.id, CheckState.SUCCESS)
    assert case.port.run(REPOSITORY, run.id).state is CheckState.SUCCESS


def test_a_deployment_is_recorded_once_and_told_how_it_went(case: HostCase) -> None:
    asked = {"commit": case.head("qa"), "environment": "qa", "description": "by dct", "key": KEY}
    if not case.keeps_deployments:
        with pytest.raises(ActionFailed, match="no deployments"):
            case.port.create_deployment(REPOSITORY, **asked)
        return
    first = case.port.create_deployment(REPOSITORY, **asked)
    assert case.port.create_deployment(REPOSITORY, **asked) == first
    for state in ("in_progress", "success"):
        case.port.deployment_status(REPOSITORY, first, state=state, url="")
    assert case.deployed() == [(case.head("qa"), "qa", "success")]


def test_a_check_is_shown_and_its_last_report_counts(case: HostCase) -> None:
    head = case.head("feature/pay")
    for state in (CheckState.PENDING, CheckState.FAILURE, CheckState.SUCCESS, CheckState.SUCCESS):
        case.port.report_check(REPOSITORY, commit=head, name="unit", state=state, summary="12 tests", url="")
    assert dict(case.checks(head)) == {"unit": CheckState.SUCCESS}


HOSTILE = ("--upload-pack=x", "$(id)", "a;touch${IFS}x", "feature/%2e%2e/x", "a&b=c#d?e", "ümläut/😀")


@pytest.mark.parametrize("branch", HOSTILE)
def test_any_name_of_a_branch_is_only_a_name(case: HostCase, branch: str) -> None:
    case.push(branch, "a.txt", "4\n")
    request = opened(case, source=branch)
    assert request.source == branch
    assert case.port.find_open_request(REPOSITORY, branch, "qa") == request
