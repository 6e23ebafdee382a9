"""What callers ask a zygote, and what it answers. Whatever they send, it gets an answer, and nothing else."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.orphans import Orphans
from dct_pipelines.clients.pool.roster import Member, Roster

_LAUNCHES = TypeAdapter(tuple[Launch, ...])
_KEYS = TypeAdapter(tuple[str, ...])
_LONGEST_COMPLAINT = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reception:
    """Answers from the roster. `facts` is what callers are told about this pool; `stop` stops a worker."""

    roster: Roster
    orphans: Orphans
    facts: Mapping[str, Any]
    stop: Callable[[Member], None]

    def answer(self, text: bytes) -> dict[str, Any]:
        """The answer to one line; `error` says what is wrong with it."""
        ways = {"launch": self._launch, "stop": self._stop, "health": self._health, "hello": self._hello}
        try:
            message = json.loads(text)
            return ways[message["ask"]](message)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            complaint = f"that cannot be understood: {error!r}"[:_LONGEST_COMPLAINT]
            _log.warning("a caller was told: %s", complaint)
            return {"error": complaint}

    def _launch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        launches = _LAUNCHES.validate_python(message["launches"])
        if self.roster.is_closing:
            return {"draining": True}
        # Another zygote's worker may be at it: its caller did not hear the answer from there.
        elsewhere = self.orphans.keys(self.roster.members)
        new = [self.roster.accept(launch) for launch in launches if launch.key not in elsewhere]
        return {"accepted": sum(new)}

    def _stop(self, message: Mapping[str, Any]) -> dict[str, Any]:
        key = message["key"]
        if self.roster.withdraw(key):
            return {"was": LaunchState.QUEUED}
        if (member := self.roster.member_of(key)) is not None:
            self.stop(member)
            return {"was": LaunchState.RUNNING}
        if self.orphans.stop(key, self.roster.members, time.monotonic()):
            return {"was": LaunchState.RUNNING}
        return {"was": self.roster.state(key)}

    def _health(self, message: Mapping[str, Any]) -> dict[str, Any]:
        states = {key: self.roster.state(key) for key in _KEYS.validate_python(message["keys"])}
        if LaunchState.UNKNOWN in states.values():
            elsewhere = self.orphans.keys(self.roster.members)
            states |= {
                key: LaunchState.RUNNING
                for key, state in states.items()
                if state is LaunchState.UNKNOWN and key in elsewhere
            }
        return {
            "states": states,
            "ended": {key: how for key in states if (how := self.roster.ended.get(key))},
        }

    def _hello(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        roster = self.roster
        ready = sum(member.is_ready for member in roster.members.values())
        counts = {
            "workers": len(roster.members),
            "ready": ready,
            "busy": roster.busy,
            "queued": roster.waiting,
        }
        said = {"pid": os.getpid(), "draining": roster.is_closing, "trouble": roster.trouble}
        return {**self.facts, **counts, **said}
