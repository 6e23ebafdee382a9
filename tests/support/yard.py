"""Every action with real tools: a repository, commands, files, a mail server and another system's webhook.

Ticket trackers and git hosts are the fakes of `tests.fakes.shop`; what they were told is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dct_pipelines import registry
from dct_pipelines.clients.deployers import LocalDeployment, Releases
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.outbox import FileOutbox
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.smtp import SmtpChannelClient
from dct_pipelines.clients.suites import SuiteRunner
from dct_pipelines.clients.webhook import SignedPost, WebhookChannelClient
from dct_pipelines.clients.workspaces import WorkspaceFiles
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.channels import SmtpChannel, WebhookChannel
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import EnvironmentSpec, LocalDeployer, SuiteSpec
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts, Repository
from dct_pipelines.domain.process import Command, IsolationMode, ProcessResult
from tests.fakes.ports import FakeSecrets, action_context
from tests.fakes.shop import SHOP, Shop
from tests.support.mail import MailServer, mail_server
from tests.support.receiver import Receiver, receiver
from tests.support.repos import SampleRepository


class Watched(Processes):
    """Remembers every command that was started."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, IsolationMode.NONE)
        self.commands: list[Command] = []

    def run(self, command: Command) -> ProcessResult:
        self.commands.append(command)
        return super().run(command)


class Yard:
    """`shop` is what the fakes were told; `mail` and `hook` what the servers got."""

    def __init__(self, folder: Path, mail: MailServer, hook: Receiver) -> None:
        self.folder, self.mail, self.hook = folder, mail, hook
        self.home = folder / "home"
        self.home.mkdir()
        self.log: list[str] = []
        self.processes = Watched(self.home)
        self.sample = SampleRepository.create(folder / "shop.git")
        base = self.sample.commit("main", {"a.txt": "1\n", "b.txt": "1\n"})
        self.sample.branch("qa", base)
        self.head = self.sample.commit("feature/pay", {"a.txt": "2\n"}, parents=[base])
        self.shop = Shop()
        self._define()
        self.ports = self._ports()
        opened = self.act(registry.action("create_workspace"), {"draft": "try-it"}, "opened")
        self.workspace = str(opened.outputs["workspace_id"])

    def act(self, action: ActionType[Any], config: Mapping[str, Any], name: str = "step") -> Outcome:
        """The action in a first attempt of the execution."""
        return action.run(
            action_context(name, log=self.log), action.config.model_validate(config), self.ports
        )

    def _define(self) -> None:
        library = self.shop.library
        library.repositories["shop"] = Repository(SHOP, "shop", RepositoryRef(self.sample.url))
        command = ("sh", "-c", 'printf %s "$DCT_BRANCH" > deployed.txt')
        library.environments["qa"] = EnvironmentSpec(
            name="qa", repository="shop", branch="qa", deployer=LocalDeployer(command=command)
        )
        library.suites["unit"] = SuiteSpec(name="unit", command=("sh", "-c", "true"), junit=None)

    def _ports(self) -> ActionPorts:
        git, secrets, clock = GitClient(self.home / "git", self.processes), FakeSecrets(), self.shop.clock
        releases, files = Releases(self.home), WorkspaceFiles(self.home, git)
        health = Health(self.processes, secrets)
        mail = SmtpChannel(
            name="mail",
            host="127.0.0.1",
            port=self.mail.port,
            security="none",
            sender="dct@example.org",
            receivers=("@example.org",),
        )
        hook = WebhookChannel(name="hook", url=self.hook.url, allow_private_network=True)
        return replace(
            self.shop.ports,
            git=git,
            processes=self.processes,
            deployers={"local": LocalDeployment(releases, git, self.processes, secrets, health)},
            suites=SuiteRunner(self.home / "scratch", git, self.processes, secrets, files, releases),
            workspaces=files,
            channels={
                "outbox": FileOutbox(self.home / "outbox", clock),
                "mail": SmtpChannelClient(mail, secrets, clock),
                "hook": WebhookChannelClient(hook, SignedPost(secrets, clock)),
            },
        )


@contextmanager
def yard(folder: Path) -> Iterator[Yard]:
    """A yard with its servers running."""
    with ExitStack() as servers:
        yield Yard(folder, servers.enter_context(mail_server()), servers.enter_context(receiver()))
