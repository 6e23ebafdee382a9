"""What every `ProcessPort` keeps to: the real one, both ways it starts commands, and the fake."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import ProcessFailed
from dct_pipelines.domain.process import Command, IsolationMode, ProcessPort, ProcessResult, Stream
from tests.fakes.processes import Exit, FakeProcesses, Flood, Repeat, Say, Script, Step, Wait


@dataclass
class World:
    """A port, and a way to give it programs."""

    port: ProcessPort
    folder: Path
    trusted: bool = False

    def program(self, name: str, *script: Step) -> None:
        if isinstance(self.port, FakeProcesses):
            self.port.programs[name] = script
        else:
            _write(self.folder / name, script)

    def run(self, *argv: str, **options: Any) -> ProcessResult:
        path = {"PATH": f"{self.folder}:/usr/local/bin:/usr/bin:/bin"}
        return self.port.run(Command(argv=argv, env=path, trusted=self.trusted, **options))


def _write(program: Path, script: Script) -> None:
    program.write_text("#!/bin/sh\n" + "\n".join(map(_shell, script)) + "\n")
    program.chmod(0o755)


def _shell(step: Step) -> str:
    match step:
        case Say(text, stream):
            return f"printf '%s\\n' {shlex.quote(text)}" + (" >&2" if stream is Stream.STDERR else "")
        case Flood(count):
            return f"head -c {count} /dev/zero | tr '\\0' x"
        case Repeat():
            return "cat"
        case Wait(seconds):
            return f"sleep {seconds}"
        case Exit(code):
            return f"exit {code}"


@pytest.fixture(params=["fake", "trusted", "supervised"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "fake":
        return World(FakeProcesses(), tmp_path)
    return World(Processes(tmp_path, IsolationMode.NONE), tmp_path, trusted=request.param == "trusted")


def test_what_is_printed_comes_back_by_stream(world: World) -> None:
    world.program("talker", Say("to you"), Say("aside", Stream.STDERR))
    result = world.run("talker")
    assert (result.stdout, result.stderr, result.exit_code) == (b"to you\n", b"aside\n", 0)
    assert result.succeeded
    assert (result.stdout_bytes, result.stdout_truncated) == (7, False)


def test_an_exit_code_is_a_result_and_no_error(world: World) -> None:
    world.program("refuser", Say("no"), Exit(3), Say("never said"))
    result = world.run("refuser")
    assert (result.exit_code, result.stdout, result.killed, result.succeeded) == (3, b"no\n", False, False)


def test_standard_input_reaches_the_command_whatever_its_size(world: World) -> None:
    world.program("echoer", Repeat())
    sent = b"0123456789" * 30_000
    assert world.run("echoer", stdin=sent).stdout == sent


def test_a_command_that_ignores_its_input_is_not_waited_for(world: World) -> None:
    world.program("deaf", Say("done"))
    assert world.run("deaf", stdin=b"x" * 1_000_000).stdout == b"done\n"


def test_a_flood_is_counted_and_only_its_ends_are_kept(world: World) -> None:
    world.program("flood", Say("first"), Flood(3_000_000), Say(""), Say("last"))
    result = world.run("flood", output_limit_bytes=1000)
    assert result.stdout_bytes == 3_000_012
    assert result.stdout_truncated
    assert result.stdout.startswith(b"first\nxxx")
    assert result.stdout.endswith(b"xxx\nlast\n")
    assert b"bytes left out" in result.stdout
    assert len(result.stdout) < 1100


def test_output_of_exactly_the_limit_is_whole(world: World) -> None:
    world.program("exact", Flood(1001))
    result = world.run("exact", output_limit_bytes=1001)
    assert (result.stdout, result.stdout_truncated) == (b"x" * 1001, False)


def test_lines_are_heard_while_they_are_printed(world: World) -> None:
    heard: list[tuple[Stream, str]] = []
    world.program("talker", Say("one"), Say("two", Stream.STDERR), Say("three"))
    world.run("talker", on_line=lambda stream, line: heard.append((stream, line)))
    assert sorted(heard) == [(Stream.STDERR, "two"), (Stream.STDOUT, "one"), (Stream.STDOUT, "three")]


def test_a_command_that_takes_too_long_is_killed_and_what_it_said_is_kept(world: World) -> None:
    world.program("sleeper", Say("good night"), Wait(60), Say("good morning"))
    result = world.run("sleeper", timeout_seconds=0.4)
    assert (result.timed_out, result.cancelled, result.killed, result.succeeded) == (True, False, True, False)
    assert result.exit_code == -9
    assert result.stdout == b"good night\n"
    assert result.duration_seconds < 20


def test_a_cancelled_command_is_killed(world: World) -> None:
    world.program("sleeper", Wait(60))
    result = world.run("sleeper", timeout_seconds=30, cancelled=lambda: True)
    assert (result.timed_out, result.cancelled, result.killed, result.exit_code) == (False, True, True, -9)
    assert result.duration_seconds < 20


def test_a_program_that_does_not_exist_is_an_explained_failure(world: World) -> None:
    with pytest.raises(ProcessFailed, match="no program 'dct-no-such-program'"):
        world.run("dct-no-such-program")


def test_a_directory_that_does_not_exist_is_an_explained_failure(world: World) -> None:
    world.program("talker", Say("hello"))
    with pytest.raises(ProcessFailed, match="does not exist"):
        world.run("talker", cwd=world.folder / "nowhere")


def test_last_words_are_those_of_stderr_if_there_are_any(world: World) -> None:
    world.program("complainer", Say("fine so far"), Say("disk full", Stream.STDERR), Exit(1))
    world.program("quiet", Say("fine so far"), Exit(1))
    assert world.run("complainer").last_words() == "disk full"
    assert world.run("quiet").last_words() == "fine so far"
