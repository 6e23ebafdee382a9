"""Keeps services running: what dies is started again after a growing pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dct_pipelines.clients.stack.service import LOOK_EVERY_SECONDS, Service
from dct_pipelines.clients.stack.succession import Succession

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 10.0
"""Who ran so long starts anew with the first pause."""
HEADLESS_SECONDS = 10.0
"""Without the child that does its work for so long, a service is started anew; a reload takes less."""
LOOK_FOR_WORKER_SECONDS = 1.0
LONGEST_WORDS = 200


@dataclass
class _Watched:
    service: Service
    pause_seconds: float = FIRST_PAUSE_SECONDS
    started_at: float = field(default_factory=time.monotonic)
    restart_at: float | None = None
    looked_at: float = 0.0
    had_worker_at: float = field(default_factory=time.monotonic)

    def is_headless(self, now: float) -> bool:
        """Whether it has been without the child that does its work for too long."""
        if now - self.looked_at >= LOOK_FOR_WORKER_SECONDS:
            self.looked_at = now
            if self.service.has_worker:
                self.had_worker_at = now
        return now - max(self.had_worker_at, self.started_at) > HEADLESS_SECONDS

    def pause(self, now: float) -> None:
        """Start it after its pause, and make the next one longer."""
        self.restart_at = now + self.pause_seconds
        self.pause_seconds = min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)


class Supervision:
    """Watches services that are already started, from one thread. `say` gets a line for each event."""

    def __init__(
        self,
        services: Sequence[Service],
        say: Callable[[str], None],
        succession: Succession | None = None,
    ) -> None:
        self._succession = succession
        self._watched = [_Watched(service) for service in services]
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervision", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; nothing is started any more when this returns."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_SECONDS):
            for watched in self._watched:
                self._look(watched)
            if self._succession is not None:
                self._keep_up(self._succession)

    def _look(self, watched: _Watched) -> None:
        service, now = watched.service, time.monotonic()
        if service.is_running:
            watched.restart_at = None  # another one took over while this one waited for its start
            if now - watched.started_at > STEADY_SECONDS:
                watched.pause_seconds = FIRST_PAUSE_SECONDS
            if watched.is_headless(now):
                self._say(f"{service.name} lost the process behind it")
                service.kill()
            return
        if watched.restart_at is None:
            self._say(
                f"{service.name} ended ({_how(service)}), starts again in {watched.pause_seconds:.0f} s; "
                f"see {service.log}"
            )
            watched.pause(now)
        elif now >= watched.restart_at:
            self._start_again(watched, now)

    def _keep_up(self, succession: Succession) -> None:
        try:
            succession.look(time.monotonic())
        except OSError as error:
            self._say(f"the worker pool cannot follow the definitions now ({error}); it is tried again")

    def _start_again(self, watched: _Watched, now: float) -> None:
        service = watched.service
        try:
            service.start()
        except OSError as error:
            # A full disk, no process left: the watch itself must outlive it.
            self._say(
                f"{service.name} cannot be started ({error}), is tried again in {watched.pause_seconds:.0f} s"
            )
            watched.pause(now)
            return
        watched.started_at, watched.restart_at = now, None
        self._say(f"{service.name} started again")


def stop_all(services: Sequence[Service]) -> None:
    """End them, the first one last: the others ask it until they are gone."""
    for service in services[1:]:
        service.ask_to_stop()
    for service in reversed(services):
        service.stop()


def _how(service: Service) -> str:
    """The exit code, and what it said last if it ended by itself."""
    code = service.process.returncode if service.process else None
    lines = service.last_words().split("\n") if code is not None and code > 0 else []
    said = next((line for line in reversed(lines) if line.strip()), "")
    shown = "".join(filter(str.isprintable, said)).strip()[:LONGEST_WORDS]
    return f"exit code {code}: {shown}" if shown else f"exit code {code}"
