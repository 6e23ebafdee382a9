"""The services of one process, each built on its first use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from dct_pipelines import registry
from dct_pipelines.bootstrap.base import Base
from dct_pipelines.domain.gateway import Daemons, RunGateway
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.settings import Settings
from dct_pipelines.store.database import Connection
from dct_pipelines.store.shapes import read_kinds, read_shapes

if TYPE_CHECKING:
    from dct_pipelines.bootstrap.connected import Connected
    from dct_pipelines.domain.git import RepositoryRef
    from dct_pipelines.engine.alerts.service import AlertService
    from dct_pipelines.engine.credential_ends import CredentialEnds
    from dct_pipelines.engine.decide import Decider
    from dct_pipelines.engine.dispatch import Dispatcher
    from dct_pipelines.engine.execute import Executor
    from dct_pipelines.engine.explain import Explainer
    from dct_pipelines.engine.intake import Intake
    from dct_pipelines.engine.listening import Listening
    from dct_pipelines.engine.maintenance import Maintenance
    from dct_pipelines.engine.manage.connections import ConnectionService
    from dct_pipelines.engine.manage.manager import Manager
    from dct_pipelines.engine.rebuilding import Rebuilding
    from dct_pipelines.engine.reconcile import Reconciler
    from dct_pipelines.engine.rehearse import Rehearser
    from dct_pipelines.engine.simulate import Simulator
    from dct_pipelines.engine.status import StatusService
    from dct_pipelines.engine.turns import Turn
    from dct_pipelines.engine.waiting import WaitingService
    from dct_pipelines.engine.webhooks import Webhooks
    from dct_pipelines.store.library import Library


@dataclass(frozen=True)
class App(Base):
    """One process's services over one database. Not to be carried across a fork."""

    @cached_property
    def library(self) -> Library:
        """What operators and teams have defined."""
        from dct_pipelines.store.library import Library

        return Library(self.database, self.outside.secrets, self._hosted_ref)

    @cached_property
    def connected(self) -> Connected:
        """The connections' clients."""
        from dct_pipelines.bootstrap.connected import Connected

        outside = self.outside
        return Connected(self.database, self.library, outside.secrets, outside.git, outside.clock)

    @cached_property
    def decider(self) -> Decider:
        """Decides events; remembers compiled triggers."""
        from dct_pipelines.engine.decide import Decider

        return Decider(registry.conditions(), self.release)

    @cached_property
    def intake(self) -> Intake:
        """Stores what listeners report."""
        from dct_pipelines.engine.intake import Intake

        return Intake(self.database, self.outside.clock, self.decider, self.release)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """Hands waiting executions to Dagster."""
        from dct_pipelines.engine.dispatch import Dispatcher

        step_seconds = self.settings.ageing_step_seconds
        return Dispatcher(self.database, self.outside.clock, self.settings.quotas, step_seconds)

    @cached_property
    def explainer(self) -> Explainer:
        """Says why something did or did not happen."""
        from dct_pipelines.engine.explain import Explainer

        return Explainer(self.database, self.outside.clock, self.decider)

    @cached_property
    def listening(self) -> Listening:
        """Reads what is due, through the listener of its kind."""
        from dct_pipelines.engine.listening import Listening

        return Listening(
            self.database,
            self.outside.clock,
            self.intake,
            self.decider,
            port_for=self.connected.listener_port,
            min_interval_seconds=self.settings.trigger_polling_min_interval_ms / 1000,
            ends=self.credential_ends,
        )

    @cached_property
    def credential_ends(self) -> CredentialEnds:
        """Learns when the credentials of connections end."""
        from dct_pipelines.engine.credential_ends import CredentialEnds

        client_of = partial(self.connected.listener_port, item=None)
        return CredentialEnds(self.database, self.outside.clock, client_of)

    def turn(self, seconds: float) -> Turn:
        """Reads what is due, and until the turn is over what is busy."""
        from dct_pipelines.engine.turns import Turn

        return Turn(self.listening, self.outside.clock, seconds)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Takes in what providers post."""
        from dct_pipelines.engine.webhooks import Webhooks

        return Webhooks(self.database, self.outside.clock, self.intake, self.listening, self.outside.secrets)

    @cached_property
    def simulator(self) -> Simulator:
        """Says what a trigger would have done."""
        from dct_pipelines.engine.simulate import Simulator

        return Simulator(self.database, self.outside.clock, registry.conditions())

    @cached_property
    def rehearser(self) -> Rehearser:
        """Says what a trigger's actions would do, by dry runs of them."""
        from dct_pipelines.bootstrap.touched import ports_for
        from dct_pipelines.clients.dry_run import DryRun
        from dct_pipelines.engine.rehearse import Rehearser

        ports = partial(ports_for, self)
        return Rehearser(self.database, self.outside.clock, registry.conditions(), ports, DryRun)

    @cached_property
    def executor(self) -> Executor:
        """Carries executions out."""
        from dct_pipelines.bootstrap.touched import ports_for
        from dct_pipelines.engine.execute import Executor

        return Executor(
            self.database,
            self.outside.clock,
            partial(ports_for, self),
            self.gateway,
            quotas=self.settings.quotas,
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """Settles executions whose run is no more. Needs the adapter to Dagster."""
        from dct_pipelines.engine.reconcile import Reconciler

        if self.gateway is None:
            raise RuntimeError("whoever reconciles hands build() a gateway to Dagster")
        return Reconciler(self.database, self.gateway)

    @cached_property
    def manager(self) -> Manager:
        """Applies, pauses and deletes definitions."""
        from dct_pipelines.engine.manage.manager import Manager
        from dct_pipelines.engine.manage.probe import ClientProbe

        outside, probe = self.outside, ClientProbe(self.connected)
        return Manager(self.database, outside.clock, self.listening.recorded, probe, outside.secrets)

    @cached_property
    def connections(self) -> ConnectionService:
        """Checks connections, says how they stand, pauses them."""
        from dct_pipelines.engine.manage.connections import ConnectionService

        return ConnectionService(self.database, self.outside.clock, self.connected, self.credential_ends)

    @cached_property
    def maintenance(self) -> Maintenance:
        """Deletes what is old, archives what is idle, warns of what expires."""
        from dct_pipelines.bootstrap.maintaining import maintenance_of

        return maintenance_of(self)

    @cached_property
    def rebuilding(self) -> Rebuilding:
        """Brings back the code of workspaces that have none here."""
        from dct_pipelines.engine.rebuilding import Rebuilding

        return Rebuilding(self.database, self.library, self.outside.git, self.outside.workspaces)

    @cached_property
    def waiting(self) -> WaitingService:
        """Says why executions wait."""
        from dct_pipelines.clients.stack.notes import read_loaded_jobs
        from dct_pipelines.engine.waiting import WaitingService

        return WaitingService(
            self.database,
            self.outside.clock,
            self.settings.quotas,
            self.settings.ageing_step_seconds,
            loaded_jobs=partial(read_loaded_jobs, self.settings.home),
        )

    @cached_property
    def alerts(self) -> AlertService:
        """Evaluates alerts, and answers about incidents."""
        from dct_pipelines.bootstrap.alerting import alerts_of

        return alerts_of(self)

    def status_by(self, daemons: Daemons | None) -> StatusService:
        """Says how things stand, by somebody's word for which of Dagster's daemons are alive."""
        from dct_pipelines.engine.status import StatusService

        return StatusService(
            self.database,
            self.outside.clock,
            self.outside.processes,
            self.quotas,
            self.waiting,
            daemons,
            broken_triggers=self.broken_triggers,
        )

    def broken_triggers(self, connection: Connection) -> dict[str, str]:
        """Asked late: it takes all that conditions are made of."""
        from dct_pipelines.engine.compiling import broken_triggers

        return broken_triggers(connection, registry.conditions())

    def _hosted_ref(self, connection: str, location: str) -> RepositoryRef | None:
        """Asked late: the connections need the library themselves."""
        return self.connected.hosted_ref(connection, location)

    def buildable_jobs(self) -> frozenset[str]:
        """The jobs that a code location would have if it loaded its definitions now."""
        kinds = set(registry.actions())
        return frozenset(job_name(shape) for shape in read_shapes(self.database) if set(shape) <= kinds)

    def kinds_in_use(self) -> frozenset[str]:
        """The kinds of connections that there are."""
        return read_kinds(self.database)


def build(settings: Settings, gateway: RunGateway | None = None) -> App:
    """Wire the services for `settings`; nothing is connected or read before its first use."""
    return App(settings, gateway)
