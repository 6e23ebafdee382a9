"""Dagster's processes ask each other less often, by the names that the pinned Dagster reads when it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster._grpc.client import DagsterGrpcClient, client_heartbeat_thread
from dagster._grpc.server_watcher import watch_grpc_server_thread

from dct_pipelines.cli.supervisor import HEARTBEAT_SECONDS
from dct_pipelines.instance.quieter import ALIVE_SECONDS, WATCH_SECONDS, be_quieter

pytestmark = pytest.mark.dagster


class Pauses:
    """An event that is set after the first pause, and how long that was to be."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def is_set(self) -> bool:
        return bool(self.seconds)


class Server:
    """Is told that its keeper lives."""

    def heartbeat(self, _word: str) -> None: ...


@pytest.fixture
def pauses() -> Iterator[Any]:
    undo = be_quieter()
    yield Pauses()
    undo()


def test_a_door_gives_a_sign_of_life_often_enough_for_the_server_behind_it(pauses: Any):
    client: Any = Server()
    client_heartbeat_thread(client, pauses)
    assert pauses.seconds == [ALIVE_SECONDS]
    assert 3 * ALIVE_SECONDS < HEARTBEAT_SECONDS


def test_a_new_code_server_is_looked_for_at_the_interval_that_is_set(pauses: Any):
    def nothing(*_what: object) -> None: ...

    client: Any = DagsterGrpcClient(socket="/nowhere")
    client.get_server_id = lambda **_timeout: "one"
    watch_grpc_server_thread(
        "here",
        client,
        pauses,
        get_location_entry=nothing,
        refresh_code_location=nothing,
        on_disconnect=nothing,
        on_reconnected=nothing,
        on_updated=nothing,
        on_error=nothing,
    )
    assert pauses.seconds == [WATCH_SECONDS]
