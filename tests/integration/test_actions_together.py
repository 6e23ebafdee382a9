"""The actions one after another, on a real repository, real commands and real files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines import registry
from dct_pipelines.clients.deployers import LocalDeployment, Releases
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.dry_run import DryRun
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.outbox import FileOutbox
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.suites import SuiteRunner
from dct_pipelines.clients.workspaces import WorkspaceFiles
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, LocalDeployer, SuiteSpec
from dct_pipelines.domain.outcome import Outcome, OutcomeStatus
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.domain.ports import ActionPorts, Repository
from dct_pipelines.domain.process import IsolationMode
from dct_pipelines.domain.scope import event_values
from dct_pipelines.domain.template import render_config
from tests.fakes.library import FakeLibrary
from tests.fakes.ports import NOON, FakeClock, FakeSecrets, action_context, fake_ports
from tests.fakes.records import FakeRecords
from tests.support.repos import SampleRepository

pytestmark = pytest.mark.integration

STEPS: Mapping[str, Mapping[str, Any]] = {
    "merge_branches": {"repository": "shop", "source": "{{ event.branch }}", "target": "qa"},
    "deploy_environment": {"environment": "qa", "commit": "{{ steps.merge_branches.commit }}"},
    "run_tests": {"suite": "unit", "environment": "{{ steps.deploy_environment.environment }}"},
    "create_workspace": {"draft": "try-it", "commit": "{{ steps.run_tests.commit }}"},
    "update_workspace": {
        "workspace": "{{ steps.create_workspace.workspace_id }}",
        "title": "{{ event.branch | slug }}: {{ steps.run_tests.tests }} tests",
    },
    "notify_users": {
        "channels": [{"channel": "outbox", "to": ["testers"]}],
        "subject": "{{ event.branch }} is on qa",
        "text": "{{ steps.deploy_environment.commit | short }} at {{ steps.create_workspace.path }}",
    },
    "archive_workspace": {"workspace": "{{ steps.create_workspace.workspace_id }}"},
}


class Scene:
    """A repository with `qa` and `feature/pay`, an environment that builds, a suite, and a draft."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.sample = SampleRepository.create(directory / "shop.git")
        base = self.sample.commit("main", {"a.txt": "1\n", "test.sh": "test -e built.txt && grep -q 2 a.txt"})
        self.sample.branch("qa", base)
        self.head = self.sample.commit("feature/pay", {"a.txt": "2\n"}, parents=[base])
        self.records = FakeRecords()
        self.ports = self._ports()
        self.outputs: dict[str, Mapping[str, Any]] = {}

    def _ports(self) -> ActionPorts:
        processes, secrets = Processes(self.home, IsolationMode.NONE), FakeSecrets()
        git, releases = GitClient(self.home / "git", processes), Releases(self.home)
        files = WorkspaceFiles(self.home, git)
        health = Health(processes, secrets)
        assessed = BranchAssessed(
            branch="feature/pay",
            head=self.head,
            target="qa",
            target_head="0" * 40,
            is_default_target=False,
            ahead=1,
            behind=0,
            merges_cleanly=True,
        )
        event = Event(
            id=UUID(int=1),
            seq=1,
            connection_id=UUID(int=2),
            item_id=UUID(int=3),
            subject="feature/pay",
            dedup_key="k",
            occurred_at=NOON,
            observed_at=NOON,
            payload=assessed,
        )
        return replace(
            fake_ports(records=self.records, library=self._library()),
            git=git,
            processes=processes,
            deployers={"local": LocalDeployment(releases, git, processes, secrets, health)},
            suites=SuiteRunner(self.home / "scratch", git, processes, secrets, files, releases),
            workspaces=files,
            channels={"outbox": FileOutbox(self.home / "outbox", FakeClock())},
            find_event=lambda: event,
        )

    def _library(self) -> FakeLibrary:
        library = FakeLibrary()
        library.repositories["shop"] = Repository(UUID(int=3), "shop", RepositoryRef(self.sample.url))
        deployer = LocalDeployer(command=("sh", "-c", f"echo x >> {self.home}/deployed; touch built.txt"))
        library.environments["qa"] = EnvironmentSpec(
            name="qa", repository="shop", branch="qa", deployer=deployer
        )
        report = '<testsuite><testcase classname="shop" name="pays"/></testsuite>'
        library.suites["unit"] = SuiteSpec(
            name="unit", command=("sh", "-c", f"sh test.sh && echo '{report}' > junit.xml")
        )
        library.drafts["try-it"] = DraftSpec(
            name="try-it", title="Try {{ event.branch }}", repository="shop", suites=("unit",)
        )
        return library

    def scope(self) -> dict[str, Any]:
        return {
            "event": event_values(self.ports.event),
            "item": {},
            "trigger": {"name": "ship-it"},
            "execution": {},
            "steps": self.outputs,
        }

    def run(self, name: str, ports: ActionPorts | None = None, *, again: bool = False) -> Outcome:
        """One step, as an attempt would: rendered, validated, run, its outputs kept."""
        action = registry.action(name)
        config = action.config.model_validate(render_config(STEPS[name], self.scope()))
        outcome = action.run(action_context(name, started_before=again), config, ports or self.ports)
        self.outputs[name] = outcome.outputs
        assert set(outcome.outputs) == action.outputs
        return outcome


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_from_a_branch_to_an_archived_workspace(scene):
    assert [scene.run(name).status for name in STEPS] == [OutcomeStatus.DONE] * len(STEPS)
    merged = scene.outputs["merge_branches"]["commit"]
    assert scene.sample.head("qa") == merged
    assert scene.sample.files(merged)["a.txt"] == "2\n"
    assert (scene.home / "environments/qa/current/built.txt").exists()
    (check,) = scene.records.checks.values()
    assert (check.commit, check.name, check.state) == (merged, "unit@qa", "success")
    (message,) = (scene.home / "outbox").glob("*.json")
    assert json.loads(message.read_text())["subject"] == "feature/pay is on qa"
    assert Path(scene.outputs["archive_workspace"]["archive_path"]).exists()
    assert not Path(scene.outputs["create_workspace"]["path"]).exists()


def test_every_step_done_twice_has_every_effect_once(scene):
    for name in STEPS:
        first = scene.run(name).outputs
        assert scene.run(name, again=True).outputs == first, name
    assert (scene.home / "deployed").read_text() == "x\n"
    assert len(scene.records.deployments) == len(scene.records.workspaces) == 1
    assert len(list((scene.home / "outbox").glob("*.json"))) == 1
    assert len(scene.ports.git.commits_between(*_history(scene)).commits) == 3


def _history(scene: Scene) -> tuple[RepositoryRef, None, Any]:
    return RepositoryRef(scene.sample.url), None, scene.sample.head("qa")


def test_a_conflict_stops_it_and_the_fix_lets_it_through(scene):
    scene.sample.commit("qa", {"a.txt": "3\n"})
    with pytest.raises(ActionFailed, match=r"conflicts in a\.txt"):
        scene.run("merge_branches")
    head = scene.sample.head("qa")
    assert head is not None
    scene.sample.commit("feature/pay", {"a.txt": "23\n"}, parents=[scene.head, head])
    assert scene.run("merge_branches", again=True).status is OutcomeStatus.DONE


def test_a_dry_run_of_everything_writes_nothing(scene):
    rehearsal = DryRun(scene.ports)
    before = scene.sample.head("qa")
    for name in STEPS:
        action = registry.action(name)
        config = action.config.model_validate(render_config(STEPS[name], scene.scope()))
        outputs = rehearsal.rehearse(action, action_context(name), config).outputs
        scene.outputs[name] = dict(outputs) | ({"commit": merged_in(scene)} if name == "run_tests" else {})
    words = "; ".join(rehearsal.would)
    for said in ("move refs/heads/qa", "to qa by its deployer local", "run the suite unit", "tell testers"):
        assert said in words
    assert scene.sample.head("qa") == before
    assert {path.name for path in scene.home.iterdir()} <= {"git"}
    for stored in (scene.records.deployments, scene.records.workspaces, scene.records.checks):
        assert not stored


def merged_in(scene: Scene) -> Any:
    """What the suite would have told: only running it tells."""
    return scene.outputs["merge_branches"]["commit"]
