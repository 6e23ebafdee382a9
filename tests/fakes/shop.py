"""A shop's repository, environment, draft and suite: the world that actions are tested in.

The repository is plain git until `at_host` says that it is read through a git host.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dct_pipelines.clients.dry_run import DryRun
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.connected import ItemFacts
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, LocalDeployer, SuiteSpec
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts, Repository
from dct_pipelines.domain.words import ItemKind
from tests.fakes.channels import FakeChannel
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.connections import FakeConnections
from tests.fakes.deployers import FakeDeployer, FakeSuites
from tests.fakes.git import FakeGit, FakeRepository
from tests.fakes.library import FakeLibrary
from tests.fakes.ports import FakeClock, action_context, fake_ports
from tests.fakes.records import FakeRecords
from tests.fakes.workspaces import FakeWorkspaceFiles

SHOP = UUID("00000000-0000-4000-8000-000000000501")


class Shop:
    """Fakes that know each other: `main`, `qa` and a clean `feature/pay` in a repository named `shop`."""

    def __init__(self) -> None:
        self.git = FakeGit()
        self.repository: FakeRepository = self.git.repository("/srv/shop.git")
        self.library = FakeLibrary()
        self.records = FakeRecords()
        self.deployer = FakeDeployer()
        self.suites = FakeSuites()
        self.workspaces = FakeWorkspaceFiles()
        self.channel = FakeChannel()
        self.clock = FakeClock()
        self.log: list[str] = []
        self.host = FakeCodeHost(self.git, {"acme/shop": self.repository})
        self.connections = FakeConnections(hosts={"forge": self.host})
        self.base = self.repository.commit("main", {"a.txt": "1\n", "b.txt": "1\n"})
        self.repository.branch("qa", self.base)
        self.feature = self.repository.commit("feature/pay", {"a.txt": "2\n"}, parents=[self.base])
        self._define()

    def _define(self) -> None:
        library = self.library
        library.repositories["shop"] = Repository(SHOP, "shop", RepositoryRef(self.repository.url))
        library.connection_kinds |= {"here": "git", "forge": "github"}
        library.facts["shop"] = ItemFacts(SHOP, "shop", ItemKind.GIT_REPOSITORY, "/srv/shop.git", "here")
        library.environments["qa"] = EnvironmentSpec(
            name="qa", repository="shop", branch="qa", deployer=LocalDeployer(command=("deploy",))
        )
        library.suites["unit"] = SuiteSpec(name="unit", command=("pytest",))
        library.drafts["try-it"] = DraftSpec(
            name="try-it",
            title='Try {{ event.branch | default("it") }}',
            repository="shop",
            context=("notes",),
            suites=("unit",),
            instructions="Look at the checkout page.",
        )
        library.items["notes"] = {"name": "notes", "kind": "document", "text": "release notes"}
        library.items["more"] = {"name": "more", "kind": "link", "location": "https://example.org"}

    def at_host(self, kind: str = "github") -> None:
        """From now on the repository is read through a connection to such a git host."""
        self.library.connection_kinds["forge"] = kind
        location = "https://host.example.org/acme/shop"
        self.library.facts["shop"] = ItemFacts(SHOP, "shop", ItemKind.GIT_REPOSITORY, location, "forge")

    @property
    def ports(self) -> ActionPorts:
        return fake_ports(
            git=self.git,
            library=self.library,
            records=self.records,
            deployers={"local": self.deployer},
            suites=self.suites,
            workspaces=self.workspaces,
            channels={"outbox": self.channel},
            connections=self.connections,
            clock=self.clock,
        )

    def run(
        self, action: ActionType[Any], name: str = "step", ports: ActionPorts | None = None, **config: Any
    ) -> Outcome:
        """The action in a first attempt."""
        return self.again(action, name, ports, started_before=False, **config)

    def again(
        self,
        action: ActionType[Any],
        name: str = "step",
        ports: ActionPorts | None = None,
        started_before: bool = True,
        **config: Any,
    ) -> Outcome:
        """The action in an attempt after one that died while doing it."""
        context = action_context(name, started_before=started_before, log=self.log)
        return action.run(context, action.config.model_validate(config), ports or self.ports)

    def rehearse(self, action: ActionType[Any], **config: Any) -> Outcome:
        """A dry run that has to leave the world as it is."""
        before = self.state()
        given = action.config.model_validate(config)
        outcome = DryRun(self.ports).rehearse(action, action_context(), given)
        assert self.state() == before, "a dry run wrote something"
        assert set(outcome.outputs) == action.outputs
        return outcome

    def state(self) -> dict[str, Any]:
        """Everything that somebody outside could see."""
        return {
            "refs": dict(self.repository.refs),
            "worktrees": dict(self.git.worktrees),
            "deployments": dict(self.records.deployments),
            "checks": dict(self.records.checks),
            "workspaces": dict(self.records.workspaces),
            "own_writes": list(self.records.own_writes),
            "deployed": list(self.deployer.deployed),
            "suites": len(self.suites.asked),
            "opened": dict(self.workspaces.opened),
            "bundles": {key: dict(files) for key, files in self.workspaces.bundles.items()},
            "archives": dict(self.workspaces.archives),
            "received": dict(self.channel.received),
            "requests": (dict(self.host.opened), dict(self.host.merged)),
            "runs": {run_id: run.run for run_id, run in self.host.runs.items()},
            "told": (
                dict(self.host.checks),
                {name: list(d.states) for name, d in self.host.deployments.items()},
            ),
        }

    def head(self, branch: str) -> Oid:
        found = self.repository.head(branch)
        assert found is not None
        return found
