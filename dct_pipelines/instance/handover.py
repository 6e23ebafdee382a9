"""Hands waiting executions over to Dagster directly: admitted, made into runs, launched, in one turn.

The way by a sensor's RunRequest takes up to ten seconds and costs a call to the code server and a dozen
statements a run; this one takes milliseconds. It is gone only by the process that has the lane
(`store/lane`), and by that one's queue thread, which also takes runs from Dagster's own queue: one thread
admits everything that is to hold a slot, so no limit on slots is ever exceeded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from dct_pipelines.bootstrap import App
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import PoolUnreachable
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.instance.launcher import WARM, WarmRunLauncher, launch_of, launch_or_fail
from dct_pipelines.instance.making import MadeRun, RunMaker
from dct_pipelines.instance.storage import PooledRunStorage

MOST_AT_ONCE = 100
"""Runs made in one transaction: it should be over before anybody waits for it."""
HELLO_SECONDS = 1.0
REFILL_AT = 2
"""While more waits, nothing is handed over before this part of the slots is free ..."""
REFILL_SECONDS = 0.5
"""... or so long has passed: a slot that came free waits for no others, which may be at work for hours."""
FREED_BY_ENDS = frozenset(
    {
        WaitReason.RUN_SLOTS.value,
        WaitReason.TRIGGER_BUSY.value,
        WaitReason.ITEM_BUSY.value,
        WaitReason.ENVIRONMENT_BUSY.value,
    }
)
"""Reasons to wait that may be gone any moment. A paused trigger may stay so for months."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """What a turn did. `is_more`: others may start as soon as work that is under way ends.

    `is_short`: it is for slots that they wait.
    """

    handed_over: int = 0
    is_more: bool = False
    is_short: bool = False


class Pace:
    """When the next turn is worth its price: one for each slot that comes free costs more than short work."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = self._handed_over_at = -REFILL_SECONDS
        self._is_told = False
        self.last = Turn()

    def note(self, turn: Turn) -> None:
        """That turn was just done."""
        self.last, self._at, self._is_told = turn, self._monotonic(), False
        if turn.handed_over:
            self._handed_over_at = self._at

    def tell(self) -> None:
        """Somebody has said that executions wait."""
        self._is_told = True

    def is_due(self, free: int, slots: int) -> bool:
        """Whether to hand over now that so many of the slots are free."""
        rested = self._monotonic() - self._at
        if not self.last.is_more or (rested >= REFILL_SECONDS and (free > 0 or self._is_told)):
            return True
        if self.last.is_short:
            return free > 0 and (free >= slots // REFILL_AT or self._is_told)
        # What waits for work of its own kind is looked at often while that is short, and less when it lasts.
        return free > 0 and (self._is_told or rested >= (self._at - self._handed_over_at) / 10)


class HandOver:
    """The direct way to Dagster. Used by one thread."""

    def __init__(self, instance: dg.DagsterInstance, storage: PooledRunStorage, app: App) -> None:
        self._instance = instance
        self._app = app
        self._maker = RunMaker(instance, storage)
        self._pool_jobs: frozenset[str] = frozenset()
        self._asked_pool_at = -HELLO_SECONDS
        self._is_waiting_for_pool = False

    def turn(
        self, workspace: BaseWorkspaceRequestContext, free_slots: int, warm: WarmRunLauncher | None
    ) -> Turn:
        """Hand over what may start now and fits `free_slots`; `warm` is the launcher while there is a pool.

        An execution that was dispatched and whose run could not be made is found by the sweep, which gives it
        its next attempt; a run that was made and not launched is found by the watch, which launches it.
        """
        jobs = self._jobs(workspace, warm)
        if not jobs:
            return Turn()
        limit = min(free_slots, MOST_AT_ONCE)
        report = self._app.dispatcher.dispatch(jobs, max(0, limit))
        tags = {run_tags.LAUNCHER: WARM} if warm is not None else {}
        made = self._maker.make(workspace, report.orders, tags)
        self._launch(workspace, made, warm)
        # A turn that was cut off by its size leaves slots free: the next one goes on at once.
        is_short = WaitReason.RUN_SLOTS.value in report.waiting and limit == free_slots
        return Turn(len(made), not FREED_BY_ENDS.isdisjoint(report.waiting), is_short)

    def _jobs(self, workspace: BaseWorkspaceRequestContext, warm: WarmRunLauncher | None) -> frozenset[str]:
        """What can be started now: the code server knows it, and so does the pool, if there is one."""
        jobs = self._maker.loaded_jobs(workspace)
        if warm is None:
            return jobs
        if time.monotonic() - self._asked_pool_at >= HELLO_SECONDS:
            self._asked_pool_at = time.monotonic()
            self._pool_jobs = self._ask_pool(warm)
        return jobs & self._pool_jobs

    def _ask_pool(self, warm: WarmRunLauncher) -> frozenset[str]:
        try:
            found = frozenset(warm.pools.hello()["jobs"])
        except PoolUnreachable as error:
            if not self._is_waiting_for_pool:
                _log.warning("executions wait for the worker pool: %s", error)
            self._is_waiting_for_pool = True
            return frozenset()
        self._is_waiting_for_pool = False
        return found

    def _launch(
        self,
        workspace: BaseWorkspaceRequestContext,
        made: list[MadeRun],
        warm: WarmRunLauncher | None,
    ) -> None:
        if warm is None:
            for one in made:
                launch_or_fail(self._instance, workspace, one.run)
            return
        try:
            if made:
                warm.pools.launch([launch_of(one.run, one.body) for one in made])
        except PoolUnreachable as error:
            _log.warning("%d runs are launched as soon as the worker pool is back: %s", len(made), error)
