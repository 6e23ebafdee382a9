"""What the actions of one execution may touch: the real client of each port, and records in its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dct_pipelines.bootstrap.app import App
from dct_pipelines.bootstrap.channels import DefinedChannels
from dct_pipelines.domain.channels import SlackChannel
from dct_pipelines.domain.ports import ActionPorts, ChannelPort, FindEvent, RecordsPort
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.records import Records


def ports_for(app: App, execution: Execution, find_event: FindEvent) -> ActionPorts:
    """The ports of an execution, made when its actions begin."""
    records = Records(app.database, execution)
    make = partial(app.outside.channel, slack=partial(_slack_channel, app, records))
    return ActionPorts(
        clock=app.outside.clock,
        secrets=app.outside.secrets,
        git=app.outside.git,
        processes=app.outside.processes,
        library=app.library,
        records=records,
        deployers={
            **app.outside.deployers,
            **app.outside.pipelines(app.library, app.connected),
        },
        suites=app.outside.suites,
        workspaces=app.outside.workspaces,
        channels=DefinedChannels(app.library, app.outside.outbox, make),
        connections=app.connected,
        find_event=find_event,
    )


def _slack_channel(app: App, records: RecordsPort, spec: SlackChannel, memory: Path) -> ChannelPort:
    """Posts through a Slack connection; what it posts is announced to the items that will read it."""
    from dct_pipelines.clients.slack.channel import SlackChannelClient

    def announce(channel: str, mark: str, instead_of: str | None = None) -> None:
        for item_id in app.library.readers_of(spec.connection, channel):
            records.expect_own_write(item_id, mark)
            if instead_of is not None:
                records.settle_own_write(item_id, instead_of, mark)

    return SlackChannelClient(spec, partial(app.connected.chat, spec.connection), memory, announce)
