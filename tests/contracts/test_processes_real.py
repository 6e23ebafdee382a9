"""What only real processes can prove: certain ends, bounded memory, a clean environment, isolation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import ProcessFailed
from dct_pipelines.domain.process import (
    Command,
    IsolationMode,
    ResourceLimits,
)

ESCAPE_ARTIST = """
import os, time
def stay(name):
    open(name, "w").write(str(os.getpid())); time.sleep(300)
if not os.fork(): stay("forked")
if not os.fork(): os.setsid(); stay("own_session")
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    stay("orphaned")
while not all(os.path.exists(n) and open(n).read() for n in ("forked", "own_session", "orphaned")):
    time.sleep(0.01)
print("all away", flush=True)
time.sleep({seconds})
"""


PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable  # root's own may be closed to others


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A state directory that every user of the machine can enter (pytest's own are closed)."""
    with tempfile.TemporaryDirectory(prefix="dct-test-") as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "work").mkdir()
        yield home


def _alive(folder: Path) -> list[str]:
    names = ("forked", "own_session", "orphaned")
    return [name for name in names if psutil.pid_exists(int((folder / name).read_text()))]


def _wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("mode", [IsolationMode.NONE, IsolationMode.AUTO])
@pytest.mark.parametrize("how", ["timeout", "cancel", "normal end"])
def test_nothing_that_a_command_started_outlives_it(open_home: Path, mode: IsolationMode, how: str) -> None:
    work = open_home / "work"
    script = ESCAPE_ARTIST.format(seconds=0 if how == "normal end" else 300)
    result = Processes(open_home, mode).run(
        Command(
            argv=(PYTHON, "-c", script),
            cwd=work,
            timeout_seconds=1.5 if how == "timeout" else 60,
            cancelled=(work / "orphaned").exists if how == "cancel" else None,
        )
    )
    assert result.killed == (how != "normal end")
    assert how == "cancel" or b"all away" in result.stdout
    _wait_until(lambda: not _alive(work))


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from dct_pipelines.clients.processes import Processes
        from dct_pipelines.domain.process import Command, IsolationMode
        argv = (sys.executable, "-c", {ESCAPE_ARTIST.format(seconds=300)!r})
        home = Path({str(tmp_path)!r})
        Processes(home, IsolationMode.NONE).run(Command(argv=argv, cwd=home))
    """)
    with subprocess.Popen([sys.executable, "-c", parent]) as running:
        _wait_until(lambda: (tmp_path / "orphaned").exists() and (tmp_path / "orphaned").read_text())
        running.send_signal(signal.SIGKILL)
    _wait_until(lambda: not _alive(tmp_path))


def test_a_trusted_tool_dies_with_us_too(tmp_path: Path) -> None:
    parent = textwrap.dedent(f"""
        from pathlib import Path
        from dct_pipelines.clients.processes import Processes
        from dct_pipelines.domain.process import Command
        argv = ("sh", "-c", "echo $$ > pid; exec sleep 300")
        Processes(Path("/")).run(Command(argv=argv, cwd=Path({str(tmp_path)!r}), trusted=True))
    """)
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", parent]) as running:
        _wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        running.send_signal(signal.SIGKILL)
    _wait_until(lambda: not psutil.pid_exists(int(pid.read_text())))


def test_a_gigabyte_of_output_takes_no_memory(tmp_path: Path) -> None:
    before = psutil.Process().memory_info().rss
    result = Processes(tmp_path, IsolationMode.NONE).run(
        Command(argv=("head", "-c", "1000000000", "/dev/zero"), output_limit_bytes=100_000)
    )
    assert result.stdout_bytes == 1_000_000_000
    assert psutil.Process().memory_info().rss - before < 20_000_000


def test_a_listener_hears_only_so_much_and_is_told_so(tmp_path: Path) -> None:
    heard: list[str] = []
    Processes(tmp_path, IsolationMode.NONE).run(
        Command(
            argv=("sh", "-c", "yes | head -n 100000; head -c 50000 /dev/zero"),
            output_limit_bytes=200,
            on_line=lambda _, line: heard.append(line),
        )
    )
    assert heard == ["y"] * 100 + ["[... further output is not shown ...]"]


def test_a_listener_that_fails_does_not_leave_the_command_running(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the listener is broken")

    with pytest.raises(ValueError, match="broken"):
        Processes(tmp_path, IsolationMode.NONE).run(
            Command(argv=("sh", "-c", "echo $$ > pid; echo x; exec sleep 300"), cwd=tmp_path, on_line=fail)
        )
    _wait_until(lambda: not psutil.pid_exists(int((tmp_path / "pid").read_text())))


def test_a_command_that_closes_its_output_is_still_waited_for(tmp_path: Path) -> None:
    result = Processes(tmp_path, IsolationMode.NONE).run(
        Command(argv=("sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 3"))
    )
    assert result.exit_code == 3


@pytest.mark.parametrize("trusted", [True, False])
def test_only_allowed_variables_reach_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    monkeypatch.setenv("JIRA_API_TOKEN", "do-not-tell")
    monkeypatch.setenv("TZ", "UTC")
    processes = Processes(tmp_path, IsolationMode.NONE)
    result = processes.run(Command(argv=("env",), env={"STAGE": "qa"}, trusted=trusted))
    names = {line.partition("=")[0] for line in result.stdout.decode().splitlines()}
    assert {"STAGE", "TZ", "HOME", "PATH"} <= names
    assert names <= {"STAGE", "TZ", "HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "LC_CTYPE", "PWD"}


def test_home_is_private_empty_and_gone_afterwards(tmp_path: Path) -> None:
    result = Processes(tmp_path, IsolationMode.NONE).run(
        Command(argv=("sh", "-c", 'ls -A "$HOME"; touch "$HOME/x" "$TMPDIR/y"; echo "$HOME"'))
    )
    (home,) = result.stdout.decode().split()
    assert home != str(Path.home())
    assert not Path(home).parent.exists()


@pytest.mark.parametrize("trusted", [True, False])
def test_no_open_file_of_ours_is_inherited(tmp_path: Path, trusted: bool) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        result = Processes(tmp_path, IsolationMode.NONE).run(
            Command(argv=("ls", "/proc/self/fd"), trusted=trusted)
        )
    assert set(result.stdout.split()) <= {b"0", b"1", b"2", b"3"}  # 3 is the directory that ls reads


def test_processor_time_memory_and_number_of_processes_are_limited(tmp_path: Path) -> None:
    processes = Processes(tmp_path, IsolationMode.NONE)
    spin = processes.run(
        Command(argv=("sh", "-c", "while :; do :; done"), limits=ResourceLimits(cpu_seconds=1))
    )
    hungry = processes.run(
        Command(
            argv=(sys.executable, "-c", "x = bytes(10**9)"), limits=ResourceLimits(memory_bytes=200_000_000)
        )
    )
    many = processes.run(
        Command(
            argv=("sh", "-c", "for i in 1 2 3 4 5 6; do sleep 60 & done; wait"),
            limits=ResourceLimits(processes=4),
        )
    )
    assert spin.exit_code == -signal.SIGKILL
    assert b"MemoryError" in hungry.stderr
    assert many.killed
    assert not many.timed_out


def test_a_program_that_may_not_be_executed_is_an_explained_failure(tmp_path: Path) -> None:
    script = tmp_path / "broken"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(ProcessFailed, match="could not be started"):
        Processes(tmp_path, IsolationMode.NONE).run(Command(argv=(str(script),)))
