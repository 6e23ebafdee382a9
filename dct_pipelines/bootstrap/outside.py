"""The outside world as one process sees it: the real client of each port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dct_pipelines import __version__
from dct_pipelines.domain.errors import InvalidSetting
from dct_pipelines.domain.process import IsolationMode, ProcessPort
from dct_pipelines.domain.words import OUTBOX, RESTORED_OUTBOX
from dct_pipelines.settings import Settings, environment

if TYPE_CHECKING:
    from dct_pipelines.clients.deployers import Releases
    from dct_pipelines.clients.deployers.health import Health
    from dct_pipelines.clients.webhook import SignedPost
    from dct_pipelines.domain.alerts import AlertPort
    from dct_pipelines.domain.channels import ChannelSpec, SlackChannel
    from dct_pipelines.domain.connected import ConnectionsPort
    from dct_pipelines.domain.git import GitPort
    from dct_pipelines.domain.ports import (
        ChannelPort,
        Clock,
        DeployerPort,
        LibraryPort,
        SecretsPort,
        SuiteRunnerPort,
        WorkspaceFilesPort,
    )
    from dct_pipelines.domain.tracing import SpanSink
    from dct_pipelines.engine.alerts.life import LifeSign

SENT = "sent"


@dataclass(frozen=True)
class Outside:
    """Clients, made when they are first asked for."""

    settings: Settings

    @cached_property
    def clock(self) -> Clock:
        """The time."""
        from dct_pipelines.clients.clock import SystemClock

        return SystemClock()

    @cached_property
    def secrets(self) -> SecretsPort:
        """Secrets by reference: from the environment and `.env`, from files, from commands."""
        from dct_pipelines.clients.secrets import ReferenceSecrets

        return ReferenceSecrets(environment, self.processes)

    @cached_property
    def processes(self) -> ProcessPort:
        """Starts commands, apart from our own files and secrets."""
        from dct_pipelines.clients.processes import Processes

        root, home = self.settings.project_root, self.settings.home
        server = tuple(home / "postgres" / name for name in ("data", "run", "life.lock"))
        hidden = (root / ".env", *server, home / "git", home / "log", home / OUTBOX, home / RESTORED_OUTBOX)
        return Processes(home, IsolationMode(self.settings.isolation.value), hidden=hidden)

    @cached_property
    def git(self) -> GitPort:
        """Repositories, by the system's git."""
        from dct_pipelines.clients.git import PASSED_ON, GitClient

        variables = environment()
        passed_on = {name: variables[name] for name in PASSED_ON if name in variables}
        return GitClient(self.settings.home / "git", self.processes, env=passed_on)

    @cached_property
    def deployers(self) -> Mapping[str, DeployerPort]:
        """Ways to bring a commit to an environment that need nothing but this machine and the network."""
        from dct_pipelines.clients.deployers import LocalDeployment, WebhookDeployment

        local = LocalDeployment(self._releases, self.git, self.processes, self.secrets, self._health)
        return {"local": local, "webhook": WebhookDeployment(self._post, self._health)}

    def pipelines(self, library: LibraryPort, connections: ConnectionsPort) -> Mapping[str, DeployerPort]:
        """Ways that start a pipeline at the repository's git host."""
        from dct_pipelines.clients.deployers import PipelineDeployment

        pipeline = PipelineDeployment(library, connections, self.git, self.clock, self._health)
        return {"github_actions": pipeline, "gitlab_ci": pipeline}

    @cached_property
    def workspaces(self) -> WorkspaceFilesPort:
        """The files of workspaces."""
        from dct_pipelines.clients.workspaces import WorkspaceFiles

        return WorkspaceFiles(self.settings.home, self.git)

    @cached_property
    def suites(self) -> SuiteRunnerPort:
        """Runs test suites."""
        from dct_pipelines.clients.suites import SuiteRunner

        scratch = self.settings.home / "scratch"
        return SuiteRunner(scratch, self.git, self.processes, self.secrets, self.workspaces, self._releases)

    @cached_property
    def outbox(self) -> ChannelPort:
        """The channel that needs nothing but the disk."""
        from dct_pipelines.clients.outbox import FileOutbox

        home = self.settings.home
        return FileOutbox(home / OUTBOX, self.clock, aside=home / RESTORED_OUTBOX)

    @property
    def sent(self) -> Path:
        """Where channels note what they have sent."""
        return self.settings.home / SENT

    def channel(self, spec: ChannelSpec, slack: Callable[[SlackChannel, Path], ChannelPort]) -> ChannelPort:
        """The client of a channel.

        `slack` makes those that post through a connection, with a directory for what they remember.
        """
        from dct_pipelines.clients.sent_once import SentOnce
        from dct_pipelines.clients.smtp import SmtpChannelClient
        from dct_pipelines.clients.webhook import WebhookChannelClient
        from dct_pipelines.domain.channels import OutboxChannel, SlackChannel, SmtpChannel, WebhookChannel

        match spec:
            case SmtpChannel():
                return SentOnce(SmtpChannelClient(spec, self.secrets, self.clock), self.sent)
            case SlackChannel():
                return SentOnce(slack(spec, self.sent), self.sent)
            case WebhookChannel():
                return WebhookChannelClient(spec, self._post)
            case OutboxChannel():
                return self.outbox

    @cached_property
    def _health(self) -> Health:
        from dct_pipelines.clients.deployers.health import Health

        return Health(self.processes, self.secrets)

    @cached_property
    def alert_webhook(self) -> AlertPort | None:
        """Tells whoever listens at the operator's address, if there is one."""
        from dct_pipelines.clients.alert_webhook import WebhookAlerts

        if (address := self.settings.alert_webhook_url) is None:
            return None
        is_signed = self.settings.alert_webhook_secret is not None
        secret = "env:DCT_ALERT_WEBHOOK_SECRET" if is_signed else None
        return WebhookAlerts(self._post, address.get_secret_value(), secret)

    @cached_property
    def life_signs(self) -> tuple[LifeSign, ...]:
        """What monitors look at."""
        from dct_pipelines.clients.guard import AddressGuard
        from dct_pipelines.clients.http import HttpClient
        from dct_pipelines.clients.life_signs import LifeFile, LifeUrl

        file = LifeFile(self.settings.home)
        if (address := self.settings.heartbeat_url) is None:
            return (file,)
        client = HttpClient(AddressGuard(allow_private_network=True))
        return file, LifeUrl(client, address.get_secret_value())

    @cached_property
    def span_sink(self) -> SpanSink:
        """The collector of traces; `InvalidSetting` where none is named."""
        from dct_pipelines.clients.otlp import OtlpSink

        endpoint = self.settings.traces_endpoint
        if endpoint is None:
            raise InvalidSetting("no collector of traces is named: set DCT_OTLP_ENDPOINT")
        settings = self.settings
        return OtlpSink(endpoint, settings.otel_service_name, __version__, settings.otlp_headers)

    @cached_property
    def _releases(self) -> Releases:
        from dct_pipelines.clients.deployers import Releases

        return Releases(self.settings.home)

    @cached_property
    def _post(self) -> SignedPost:
        from dct_pipelines.clients.webhook import SignedPost

        return SignedPost(self.secrets, self.clock, is_traced=self.settings.traces_endpoint is not None)
