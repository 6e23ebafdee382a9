"""Shortcuts through Dagster's engine, pulled in a worker's process and nowhere else, before its first run.

Each replaces names of Dagster's by something that gives the same answer with less work, or leaves out what
nobody looks at, and gives back how to undo it, by which `tests/dagster/test_levers.py` compares the two on
the pinned Dagster, and `make bench` measures what each is worth. The levers that need no private name are
elsewhere: the ledger and what storage remembers (`storage`), plans (`running`), runs made in bulk (`making`),
steps without data between them (`jobs/build`).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what the module `signal` wraps
import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry, JobDefinition
from dagster._core.events import PIPELINE_EVENTS, EngineEventData
from dagster._core.execution import api, context_creation_job
from dagster._core.execution.context.system import IPlanContext
from dagster._core.instance.methods.event_methods import EventMethods
from dagster._core.instance.types import _EventListenerLogHandler
from dagster._core.log_manager import DagsterLogManager
from dagster._core.system_config.objects import ResolvedRunConfig
from dagster._utils import interrupts

from dct_pipelines.instance import answers, straight
from dct_pipelines.instance.seams import Undo, overrule, replace, together

JOBS_KEPT = 1000
ASSETS_AT_ONCE = 200


def without_console() -> Undo:
    """Runs log into the event log only. By default each event is also formatted, coloured, for a terminal."""
    return replace(context_creation_job, "default_system_loggers", lambda _instance: ())


def events_without_logging() -> Undo:
    """Events of a run go straight to the instance, not through Python's logging and back.

    Where somebody has configured handlers of their own, they get theirs as before.
    """
    stock = DagsterLogManager.log_dagster_event

    def log_dagster_event(
        self: DagsterLogManager,
        level: str | int,
        msg: str,
        dagster_event: DagsterEvent,
        batch_metadata: Any = None,
    ) -> None:
        instance = _only_hearer(self)
        if instance is None:
            stock(self, level, msg, dagster_event, batch_metadata)
            return
        number = logging.getLevelName(level) if isinstance(level, str) else level
        entry = _entry(self, number, msg, dagster_event)
        instance.handle_new_event(entry, batch_metadata=batch_metadata)

    return replace(DagsterLogManager, "log_dagster_event", log_dagster_event)


def lines_without_logging() -> Undo:
    """So do the lines that a step logs, but for those that carry more than their text."""
    stock = DagsterLogManager._log

    def log(
        self: DagsterLogManager, level: int, msg: object, args: tuple[object, ...], **more: object
    ) -> None:
        instance = _only_hearer(self)
        is_plain = not more and self.handlers == [self._dagster_handler] and not self.filters
        if instance is None or not is_plain:
            stock(self, level, msg, args, **more)  # type: ignore[arg-type]
            return
        said = logging.LogRecord(self.name, level, "", 0, msg, args, None).getMessage() if args else str(msg)
        entry = _entry(self, level, said, None)
        try:
            instance.handle_new_event(entry)
        except Exception:  # noqa: BLE001 (what comes of a line that cannot be stored is Dagster's to say)
            stock(self, level, msg, args)

    return overrule(DagsterLogManager, "_log", log)


def _only_hearer(manager: DagsterLogManager) -> DagsterInstance | None:
    """The instance, where nobody else hears what is logged."""
    handler = manager._dagster_handler
    only = handler._handlers[0] if len(handler._handlers) == 1 and not handler._loggers else None
    return only._instance if isinstance(only, _EventListenerLogHandler) else None


def _entry(manager: DagsterLogManager, level: int, text: str, event: DagsterEvent | None) -> EventLogEntry:
    known = manager.metadata
    return EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=level,
        user_message=text,
        run_id=known["run_id"],
        timestamp=time.time(),
        step_key=known["step_key"] or (event.step_key if event else None),
        job_name=known["job_name"],
        dagster_event=event,
    )


def events_straight_to_storage() -> Undo:
    """An event that moves no run is stored, and no more is asked about it, unless somebody has subscribed."""
    stock = EventMethods.handle_new_event

    def handle_new_event(self: EventMethods, event: EventLogEntry, *, batch_metadata: Any = None) -> None:
        inner: Any = event.dagster_event
        moves = inner is not None and inner.event_type in PIPELINE_EVENTS
        if moves or batch_metadata is not None or self._subscribers_impl.get(event.run_id):
            stock(self, event, batch_metadata=batch_metadata)
        elif self.should_store_event(event):
            self._event_storage_impl.store_event(event)

    return replace(EventMethods, "handle_new_event", handle_new_event)


def noise_not_made() -> Undo:
    """Events that the ledger leaves out are not put together first; who gets one is told its kind only."""
    stock = DagsterEvent.engine_event

    @lru_cache(maxsize=JOBS_KEPT)
    def bare(kind: DagsterEventType, job_name: str) -> DagsterEvent:
        return DagsterEvent(kind.value, job_name, event_specific_data=EngineEventData())

    def engine_event(
        plan_context: IPlanContext, message: str, event_specific_data: EngineEventData | None = None
    ) -> DagsterEvent:
        if event_specific_data is not None and event_specific_data.error is not None:
            return stock(plan_context, message, event_specific_data)
        return bare(DagsterEventType.ENGINE_EVENT, plan_context.job_name)

    def of_resources(kind: DagsterEventType) -> Any:
        return staticmethod(lambda job_name, *_rest, **_named: bare(kind, job_name))

    return together(
        replace(DagsterEvent, "engine_event", staticmethod(engine_event)),
        replace(DagsterEvent, "resource_init_start", of_resources(DagsterEventType.RESOURCE_INIT_STARTED)),
        replace(DagsterEvent, "resource_init_success", of_resources(DagsterEventType.RESOURCE_INIT_SUCCESS)),
    )


def one_event_loop() -> Undo:
    """Runs share an event loop, one a process. By default each makes and closes its own, needed or not."""
    kept = _KeptLoops()
    undo_it = replace(context_creation_job, "asyncio", kept)

    def undo() -> None:
        undo_it()
        kept.end()

    return undo


def configuration_once() -> Undo:
    """What an empty run configuration resolves to is found out once for each job, not twice a run."""
    stock = ResolvedRunConfig.build
    # Runs that go the stock way load their job anew each time: what they found goes with it.
    found: WeakKeyDictionary[JobDefinition, ResolvedRunConfig] = WeakKeyDictionary()

    def build(job_def: JobDefinition, run_config: Mapping[str, object] | None = None) -> ResolvedRunConfig:
        if run_config:
            return stock(job_def, run_config)
        known = found.get(job_def)
        if known is None:
            known = found[job_def] = stock(job_def, run_config)
        return known

    return replace(ResolvedRunConfig, "build", staticmethod(build))


def assets_in_batches() -> Undo:
    """The materializations of a step are stored together: a backfill has thousands, each of six statements.

    Dagster can, where a variable of the environment says so.
    """
    return replace(EventMethods, "_get_event_batch_size", lambda _self: ASSETS_AT_ONCE)


def without_telemetry() -> Undo:
    """Events are not prepared for telemetry, which `dagster.yaml` switches off."""
    return replace(api, "log_dagster_event", lambda _event, _context: None)


def one_signal() -> Undo:
    """Between steps only what SIGINT means is set: a worker is interrupted by it, and heeds no SIGTERM.

    Without the standard library's enumerations around it, which take most of the time of some forty calls.
    """
    number = int(signal.SIGINT)

    def replace_interrupt(handler: Any) -> None:
        if callable(handler):
            _signal.signal(number, handler)
        else:
            signal.signal(number, handler)

    return replace(interrupts, "_replace_interrupt_signal", replace_interrupt)


class _KeptLoops:
    """Stands for the module `asyncio` where Dagster asks it for a new loop."""

    def __init__(self) -> None:
        self._loops: dict[int, _KeptLoop] = {}

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of this process, as open as a new one."""
        process = os.getpid()
        if process not in self._loops:
            self._loops = {process: _KeptLoop()}
        return self._loops[process]

    def end(self) -> None:
        """Close what is open."""
        for loop in self._loops.values():
            loop.end()


class _KeptLoop(asyncio.SelectorEventLoop):
    """A loop that the next run goes on with."""

    def close(self) -> None:
        """Stay open: whoever made it, as it believes, is through with it."""

    def end(self) -> None:
        """Close it for good."""
        super().close()


LEVERS: Mapping[str, Callable[[], Undo]] = {
    "without console": without_console,
    "events without logging": events_without_logging,
    "lines without logging": lines_without_logging,
    "noise not made": noise_not_made,
    "one event loop": one_event_loop,
    "configuration once": configuration_once,
    "without telemetry": without_telemetry,
    "one signal": one_signal,
    "assets in batches": assets_in_batches,
    "events straight to storage": events_straight_to_storage,
    **answers.LEVERS,
    **straight.LEVERS,
}


def pull_all() -> Undo:
    """Pull every lever; the answer undoes them all."""
    return together(*(pull() for pull in LEVERS.values()))
