"""The services of one home as one stack: code server, Dagster's daemon, its web UI.

The code server is `dagster code-server start`, which can load definitions anew (`dagster api grpc`, which
plain Dagster commands start, cannot), so that a new job is there within seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.bootstrap import App, build
from dct_pipelines.bootstrap.sockets import Sockets
from dct_pipelines.cli.session import require_project
from dct_pipelines.clients.stack.lock import only_one
from dct_pipelines.clients.stack.notes import CodeServerAddress, read_address, remove_address, write_address
from dct_pipelines.clients.stack.service import Door, Service, free_port, private_socket
from dct_pipelines.clients.stack.succession import Succession
from dct_pipelines.clients.stack.supervision import Supervision, stop_all
from dct_pipelines.domain.errors import DctError, StackNotReady
from dct_pipelines.domain.restored import PAUSED
from dct_pipelines.instance.heartbeats import forget
from dct_pipelines.settings import Settings
from dct_pipelines.store import restoring
from dct_pipelines.store.database import Database

LOCATION = "dct_pipelines"
MODULE = "dct_pipelines.definitions"
DAEMON = "dct_pipelines.instance.daemon"
DOOR = "dct_pipelines.instance.door"
POOL = "dct_pipelines.instance.warm"
COMMAND = "dct_pipelines.cli.main"
HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 (only compared with)
UI_PORT = 3000
READY_SECONDS = 180
"""Loading Dagster takes seconds of processor time; on a busy machine many."""
HEARTBEAT_SECONDS = 20
"""A code server whose keeper is gone ends after this time."""
WORKER = "grpc"
"""Behind the code server's door works `dagster api grpc`; Dagster does not replace it when it dies."""
LOCK = "up.lock"
SOCKET = "code-server.sock"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """What runs. `ui_url` is None without a UI."""

    settings: Settings
    services: tuple[Service, ...]
    ui_url: str | None
    seconds: float
    """How long it took until all was ready."""
    pause: str | None = None
    """Why nothing starts, where that is so."""

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by service, as they are now."""
        return {service.name: service.pid for service in self.services}


@contextmanager
def running(
    settings: Settings,
    *,
    engine: bool = True,
    ui: bool = True,
    ui_port: int | None = None,
    say: Say = lambda _line: None,
) -> Iterator[Stack]:
    """Start what is wanted, wait until it is ready, keep it running for the block, and end it all.

    An embedded database that this started is stopped at the end, too. Raises `AlreadyRunning` when another
    stack of this home has the engine, `StackNotReady` when a service does not come up.
    """
    begun = time.monotonic()
    require_project(settings)
    services: list[Service] = []
    with (
        _lock(settings, engine),
        private_socket(settings.home, SOCKET) as socket,
        _database(build(settings), say if engine else None) as database,
    ):
        succession = _succession(settings, socket, say) if engine else None
        try:
            if succession is not None:
                _start_engine(settings, services, succession)
            workspace = _workspace_of(settings)
            url = _start_ui(settings, services, workspace, ui_port or UI_PORT) if ui else None
            seconds = time.monotonic() - begun
            stack = Stack(settings, tuple(services), url, seconds, _pause(database))
            supervision = Supervision(services, say, succession)
            supervision.start()
            try:
                yield stack
            finally:
                supervision.stop()
        finally:
            if succession is not None:
                remove_address(settings.home)
                succession.ask_to_stop()
            stop_all(services)
            if succession is not None:
                # Last, because the daemon would take a home without a note for one that never had a pool.
                succession.end()
                with suppress(DctError):
                    forget(database)


def log_directory(settings: Settings) -> Path:
    """Where each service writes its log."""
    return settings.home / "log"


def _succession(settings: Settings, socket: Path, say: Say) -> Succession:
    """The code server behind `socket`, and the worker pool that follows its definitions."""
    socket.unlink(missing_ok=True)
    return Succession(
        pool=_pool(settings, socket.with_name("pool-1.sock")),
        leader=_code_server(settings, socket),
        home=settings.home,
        directory=socket.parent,
        make=lambda door: _pool(settings, door),
        say=say,
    )


def _start_engine(settings: Settings, services: list[Service], succession: Succession) -> None:
    """Start code server and worker pool, then the daemon, which needs both."""
    server, pool = succession.leader, succession.pool
    socket = server.door
    assert isinstance(socket, Path)  # noqa: S101 (our code server has one)
    for one in (server, pool):
        one.start()
        services.append(one)
    for one in (server, pool):
        _await_ready(one)
    succession.begin()
    write_address(settings.home, CodeServerAddress(socket=socket, pid=server.pid))
    workspace = _write_workspace(settings.home, socket)
    _bring_up(services, _daemon(settings, workspace))
    if _has_sockets(settings):
        _bring_up(services, _sockets(settings))
    if settings.metrics_port is not None:
        _add(services, _metrics(settings, settings.metrics_port))
    if settings.traces_endpoint is not None:
        _add(services, _command(settings, "traces", None, "trace", "export"))


def _start_ui(settings: Settings, services: list[Service], workspace: Path, wanted_port: int) -> str:
    port = free_port(wanted_port)
    _bring_up(services, _webserver(settings, workspace, port))
    return f"http://{HOST}:{port}"


def _workspace_of(settings: Settings) -> Path:
    """The workspace of the engine that runs, else the project's own."""
    runs = read_address(settings.home) is not None
    return (settings.home if runs else settings.project_root) / "workspace.yaml"


def _bring_up(services: list[Service], service: Service) -> None:
    _add(services, service)
    _await_ready(service)


def _add(services: list[Service], service: Service) -> None:
    """Start what nobody waits for: work goes on without it, and it is started anew until it stays."""
    service.start()
    services.append(service)


def _await_ready(service: Service) -> None:
    if not service.wait_until_ready(READY_SECONDS):
        state = "is not ready" if service.is_running else "ended"
        raise StackNotReady(f"the {service.name} {state}; the end of {service.log}:\n{service.last_words()}")


def _service(settings: Settings, name: str, module: str, door: Door | None, *arguments: str) -> Service:
    return Service(
        name=name,
        module=module,
        arguments=arguments,
        log=log_directory(settings) / f"{name.replace(' ', '-')}.log",
        variables={"DAGSTER_HOME": str(settings.project_root), "DCT_HOME": str(settings.home)},
        door=door,
    )


def _code_server(settings: Settings, socket: Path) -> Service:
    where = ("--socket", str(socket), "--heartbeat-ttl", str(HEARTBEAT_SECONDS))
    what = ("--module-name", MODULE, "--location-name", LOCATION)
    arguments = ("code-server", "start", *what, *where, *_log_format(settings))
    server = _service(settings, "code server", DOOR, socket, *arguments)
    server.worker = WORKER
    return server


def _daemon(settings: Settings, workspace: Path) -> Service:
    return _service(settings, "daemon", DAEMON, None, "--workspace", str(workspace))


def _pool(settings: Settings, door: Path) -> Service:
    pool = _service(settings, "warm pool", POOL, door, "--door", str(door))
    # A worker does one thing at a time, beside a sign of life; there may be many of them.
    pool.variables["DCT_DATABASE_POOL_SIZE"] = "2"
    return pool


def _has_sockets(settings: Settings) -> bool:
    """Whether a connection to a provider that pushes needs a process to be there for it."""
    app = build(settings)
    try:
        return bool(Sockets(app).wanted())
    finally:
        app.database.dispose()


def _sockets(settings: Settings) -> Service:
    as_json = ("--json",) if settings.logs_json else ()
    return _service(settings, "Slack sockets", COMMAND, None, "listen", "slack", *as_json)


def _metrics(settings: Settings, port: int) -> Service:
    """What answers Prometheus; whether it does is asked where it can be: at the loopback address."""
    door = port if settings.metrics_host in (HOST, EVERYWHERE) else None
    return _command(settings, "metrics", door, "metrics", "serve", "--json")


def _command(settings: Settings, name: str, door: Door | None, *arguments: str) -> Service:
    """A command of ours that does one thing at a time."""
    service = _service(settings, name, COMMAND, door, *arguments)
    service.variables["DCT_DATABASE_POOL_SIZE"] = "1"
    return service


def _webserver(settings: Settings, workspace: Path, port: int) -> Service:
    where = ("--host", HOST, "--port", str(port))
    arguments = ("--workspace", str(workspace), *where, "--suppress-warnings", *_log_format(settings))
    return _service(settings, "web UI", "dagster_webserver", port, *arguments)


def _log_format(settings: Settings) -> tuple[str, ...]:
    """As Dagster's own commands take it."""
    return ("--log-format", "json") if settings.logs_json else ()


def _write_workspace(home: Path, socket: Path) -> Path:
    """A workspace of the same location name, so that runs and sensor states are those of plain commands."""
    server = json.dumps({"socket": str(socket), "location_name": LOCATION})
    path = home / "workspace.yaml"
    path.write_text(f"# Written by dct up; changes are lost.\nload_from:\n  - grpc_server: {server}\n")
    return path


def _pause(database: Database) -> str | None:
    """Why nothing starts: whoever starts a restored deployment has to know."""
    with database.connect() as connection:
        paused = restoring.is_paused(connection)
    database.dispose()
    return PAUSED if paused else None


def _lock(settings: Settings, engine: bool) -> AbstractContextManager[None]:
    return only_one(settings.home / LOCK, "the engine") if engine else nullcontext()


@contextmanager
def _database(app: App, say: Say | None) -> Iterator[Database]:
    """A migrated database for the block. An embedded server that was down before is stopped afterwards.

    With `say` it is for an engine: one that was off for long has its month before anything is read.
    """
    embedded = app.database.embedded
    was_down = embedded is not None and embedded.pid() is None
    app.ready()
    if say is not None:
        for line in app.maintenance.begin():
            say(line)
    app.database.dispose()
    try:
        yield app.database
    finally:
        app.database.dispose()
        if embedded is not None and was_down:
            embedded.stop()
