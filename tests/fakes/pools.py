"""Worker pools in memory: they take launches, and runs end when the test says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dct_pipelines.clients.pool.caller import Health, Pools
from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.domain.errors import PoolUnreachable


class FakePools(Pools):
    """One pool. It is away while `is_there` is False. `given` is every launch, also what came twice."""

    def __init__(self, jobs: Iterable[str]) -> None:
        super().__init__(Path("/nowhere"))
        self.jobs = frozenset(jobs)
        self.given: list[Launch] = []
        self.states: dict[str, LaunchState] = {}
        self.how: dict[str, str] = {}
        self.is_there = True
        self.is_noted = True
        self.refuses: set[str] = set()
        """Runs that it does not take."""

    @property
    def are_noted(self) -> bool:
        return self.is_noted

    def hello(self) -> Mapping[str, Any]:
        self._answer()
        return {"jobs": sorted(self.jobs)}

    def launch(self, launches: Sequence[Launch]) -> None:
        self._answer()
        for launch in launches:
            if launch.key in self.refuses:
                raise PoolUnreachable(f"the pool does not take {launch.key}")
            self.given.append(launch)
            if self.states.get(launch.key, LaunchState.UNKNOWN) is LaunchState.UNKNOWN or launch.again:
                self.states[launch.key] = LaunchState.RUNNING

    def stop(self, key: str) -> LaunchState:
        self._answer()
        return self.states.get(key, LaunchState.UNKNOWN)

    def health(self, keys: Iterable[str]) -> Health:
        self._answer()
        states = {key: self.states.get(key, LaunchState.UNKNOWN) for key in keys}
        return Health(states, {key: self.how[key] for key in states if key in self.how})

    def end(self, key: str, how: str = "") -> None:
        """The launch is over; `how` when its worker died."""
        self.states[key] = LaunchState.ENDED
        if how:
            self.how[key] = how

    def forget(self) -> None:
        """The pool's process died, and with it all that it knew."""
        self.states.clear()
        self.how.clear()

    def _answer(self) -> None:
        if not self.is_there:
            raise PoolUnreachable("the pool is away")
