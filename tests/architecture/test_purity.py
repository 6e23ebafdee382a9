"""What import-linter cannot say: which names of the standard library a room may use."""

from __future__ import annotations

import sys

from tests.architecture.tree import (
    PACKAGE,
    dotted_names,
    imports,
    name_of,
    python_files,
    room_of,
    starts_with,
)

IMPURE = frozenset(
    "asyncio concurrent ctypes fcntl getpass glob http io locale logging mmap multiprocessing os platform "
    "random secrets select selectors shutil signal smtplib socket socketserver sqlite3 ssl subprocess sys "
    "tempfile threading time urllib.request uuid.uuid1".split()
)
"""Clocks, files, processes, networks, chance and the state of the process."""

STANDARD = frozenset(sys.stdlib_module_names)
PORTS_ONLY = tuple(f"dct_pipelines/{room}" for room in ("domain", "listeners", "conditions", "actions"))
PURE_ROOMS = {
    "domain": frozenset({"pydantic", "pydantic_core", "dct_pipelines.domain"}),
    "conditions": frozenset({"pydantic", "pydantic_core", "re2", "dct_pipelines.domain"}),
}
CLOCKS = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "date.today", "time.time"}
)
PROCESSES = frozenset(
    "os.system os.popen os.fork os.forkpty os.posix_spawn os.posix_spawnp "
    "os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe "
    "os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp os.spawnvpe "
    "asyncio.create_subprocess_exec asyncio.create_subprocess_shell".split()
)
NETWORK_MODULES = frozenset(
    {"urllib.request", "http.client", "http.server", "socketserver", "telnetlib", "xmlrpc"}
)
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"})
READS_ENVIRONMENT = {
    "dct_pipelines/settings.py": "every variable that means something to us",
    "dct_pipelines/clients/processes/runner.py": "the allow-list that a child process gets handed on",
    "dct_pipelines/cli/demo/command.py": "hides another deployment's database from the demo's processes",
}


def test_domain_and_conditions_know_only_themselves_and_the_standard_library():
    faults = [
        f"{name_of(path)}:{line} imports {name}"
        for path in python_files("dct_pipelines")
        if (ours := PURE_ROOMS.get(room_of(path))) is not None
        for line, name in imports(path)
        if not (starts_with(name, ours) or name.partition(".")[0] in STANDARD)
    ]
    assert not faults, "\n".join(faults)


def test_domain_and_plugins_touch_the_world_through_ports_only():
    faults = [
        f"{name_of(path)}:{line} imports {name}"
        for path in python_files(*PORTS_ONLY)
        for line, name in imports(path)
        if starts_with(name, IMPURE)
    ]
    assert not faults, "\n".join(faults)


def test_domain_and_plugins_are_told_the_time_and_never_look_at_a_clock():
    faults = [
        f"{name_of(path)}:{line} calls {name}"
        for path in python_files(*PORTS_ONLY)
        for line, name in dotted_names(path)
        if name in CLOCKS
    ]
    assert not faults, "\n".join(faults)


def test_processes_and_servers_are_started_in_clients_and_store_only():
    faults = [
        f"{name_of(path)}:{line} uses {name}"
        for path in python_files("dct_pipelines")
        if room_of(path) not in {"clients", "store"}
        for line, name in (*dotted_names(path), *imports(path))
        if name in PROCESSES or starts_with(name, NETWORK_MODULES)
    ]
    assert not faults, "\n".join(faults)


def test_the_environment_is_read_where_it_is_named_only():
    faults = [
        f"{name_of(path)}:{line} uses {name}"
        for path in python_files("dct_pipelines")
        if name_of(path) not in READS_ENVIRONMENT
        for line, name in (*dotted_names(path), *imports(path))
        if starts_with(name, ENVIRONMENT)
    ]
    assert not faults, "\n".join(faults)


def test_every_room_says_what_belongs_there_and_what_does_not():
    faults = [
        name_of(path)
        for path in sorted(PACKAGE.glob("*/__init__.py"))
        if not all(
            phrase in path.read_text(encoding="utf-8")
            for phrase in ("Belongs here:", "Does not belong here:")
        )
    ]
    assert not faults, "\n".join(faults)
