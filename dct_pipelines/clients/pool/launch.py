"""What is asked of a pool, and the lines of JSON that say it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

LONGEST_KEY = 200


class LaunchState(StrEnum):
    """What the pool knows of a launch."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Launch:
    """One piece of work. `body` is for the worker only; `alone` gives it a worker that does nothing else."""

    key: Annotated[str, StringConstraints(pattern=rf"^[!-~]{{1,{LONGEST_KEY}}}$")]
    body: str = ""
    limit_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    alone: bool = False
    again: bool = False
    """Take it also when it ended here before: it goes on from where it was."""

    def is_new_to(self, state: LaunchState) -> bool:
        """Whether a pool that knows this of it takes it; else it stays as it is."""
        return state is LaunchState.UNKNOWN or (self.again and state is LaunchState.ENDED)


def encode(message: object) -> bytes:
    """One line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def encode_launch(launch: Launch) -> bytes:
    """A launch as the worker reads it."""
    return encode(asdict(launch))
