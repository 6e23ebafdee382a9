"""The code server's door: `python -m dct_pipelines.instance.door code-server start ...`.

It is Dagster's own command, in a process that is quieter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from dagster._cli import main as dagster
from dagster._grpc import server

from dct_pipelines.instance.quieter import be_quieter
from dct_pipelines.instance.seams import Undo, replace

LOG_FORMAT = "--log-format"


def hand_on(log_format: str) -> Undo:
    """Have the server behind the door log as the door does: Dagster tells it the level, not the format.

    `tests/dagster/test_door.py` holds the contract with the pinned Dagster. The answer undoes it.
    """
    stock = vars(server)["open_ipc_subprocess"]

    def open_ipc_subprocess(parts: Sequence[str], **given: Any) -> Any:
        return stock([*parts, LOG_FORMAT, log_format], **given)

    return replace(server, "open_ipc_subprocess", open_ipc_subprocess)


def main() -> None:
    """Run it until told to end."""
    be_quieter()
    if LOG_FORMAT in sys.argv[:-1]:
        hand_on(sys.argv[sys.argv.index(LOG_FORMAT) + 1])
    dagster()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
