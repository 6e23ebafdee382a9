"""The server behind the code server's door logs as the door does."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from dagster._cli.api import grpc_command
from dagster._grpc import server
from dagster._grpc.constants import GrpcServerCommand
from dagster._grpc.server import open_server_process

from dct_pipelines.instance.door import LOG_FORMAT, hand_on
from dct_pipelines.instance.seams import replace

pytestmark = pytest.mark.dagster


class Started(Exception):
    """What would have been started."""


def test_the_format_of_the_door_is_handed_on_to_the_server_that_it_starts():
    def start(parts: list[str], **_given: Any) -> subprocess.Popen[bytes]:
        raise Started(parts)

    nothing_starts = replace(server, "open_ipc_subprocess", start)
    undo = hand_on("json")
    try:
        with pytest.raises(Started) as started:
            open_server_process(None, 1, None, GrpcServerCommand.API_GRPC)
    finally:
        undo()
        nothing_starts()
    assert started.value.args[0][-2:] == [LOG_FORMAT, "json"]
    assert LOG_FORMAT in {name for option in grpc_command.params for name in option.opts}
