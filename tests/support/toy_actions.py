"""An action that does what a test tells it, in a real stack: prints, waits, or takes its worker along."""

from __future__ import annotations

import os
import signal
import time
from typing import Literal

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.outcome import Outcome, done
from dct_pipelines.domain.ports import ActionPorts


class ToyConfig(ActionConfig):
    """`die` takes the worker along the first time, `wait` until a file is there."""

    do: Literal["print", "die", "wait"] = "print"
    text: str = ""
    agents: int = 0


def run(context: ActionContext, config: ToyConfig, _ports: ActionPorts) -> Outcome:
    """Do it; the outputs say in which process."""
    if config.do == "print":
        print(config.text)
        os.write(2, b"and from below\n")
    elif config.do == "die" and not context.started_before:
        os.kill(os.getpid(), signal.SIGKILL)
    elif config.do == "wait":
        while not os.path.exists(config.text):  # noqa: PTH110
            time.sleep(0.05)
    return done("did it", pid=os.getpid())


ACTION = ActionType(
    kind="toy_act",
    summary="Does what a test tells it.",
    config=ToyConfig,
    recovery=Recovery.KEY,
    run=run,
    outputs=frozenset({"pid"}),
    example={"do": "print", "text": "hello"},
    agents=lambda config: config.agents,
)
