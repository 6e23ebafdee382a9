"""Commands that hang, fork, flood or lie, from the push to the record of what became of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.repos import SampleRepository
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

SUITE = """---
kind: suite
name: unit
command: {command}
junit: {junit}
environment_variables: {{OUT: "{out}"}}
limits: {{timeout_seconds: {timeout}}}
---
kind: trigger
name: test-it
items: [shop]
conditions:
  - {{type: branch_ready, config: {{branch: "feature/*", target_branch: qa}}}}
actions:
  - {{type: run_tests, config: {{suite: unit, repository: shop, commit: "{{{{ event.head }}}}"}}}}
"""
DEPLOY = """---
kind: environment
name: qa
repository: shop
branch: qa
deployer: {{type: local, command: [sh, -c, '{command}']}}
health_check: {{command: [sh, -c, '{health}'], attempts: 2, interval_seconds: 0.01}}
---
kind: trigger
name: deploy-it
items: [shop]
conditions:
  - {{type: branch_ready, config: {{branch: "feature/*", target_branch: qa}}}}
actions:
  - type: deploy_environment
    config: {{environment: qa, merge: {{source: "{{{{ event.branch }}}}"}}}}
"""
PASSING = '<testsuite><testcase name="works"/></testsuite>'


def shop_of(workshop: Workshop) -> SampleRepository:
    """The repository that everything here is about, made when it is first asked for."""
    path = workshop.folder / "repositories/shop.git"
    return SampleRepository(path) if path.exists() else workshop.repository()


def push(workshop: Workshop, branch: str = "feature/x") -> None:
    base = shop_of(workshop).head("qa")
    assert base
    shop_of(workshop).commit(branch, {branch.replace("/", "-"): "text\n"}, parents=[base])
    workshop.tick()


def after_running(workshop: Workshop, *command: str, junit: str | None = None, timeout: int = 60) -> Any:
    """What became of an execution whose one action is this suite."""
    suite = SUITE.format(
        command=json.dumps(command), junit=json.dumps(junit), out=workshop.folder, timeout=timeout
    )
    shop_of(workshop)
    workshop.watch("shop", more=suite)
    push(workshop)
    [ended] = workshop.carry_out_all()
    return ended


def written(workshop: Workshop, script: str) -> Any:
    """What became of a suite that writes its JUnit by this Python."""
    return after_running(workshop, "python3", "-c", script, junit="junit*.xml")


def nobody_left(pids: Path) -> bool:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_suite_that_hangs_is_killed_with_everything_it_started_and_explained(workshop: Workshop):
    script = (
        'for way in "" setsid; do $way sleep 300 & echo $! >> $OUT/pids; done; '
        "echo $$ >> $OUT/pids; sleep 300"
    )
    ended = after_running(workshop, "sh", "-c", script, timeout=1)
    assert ended.status == "failed"
    assert "did not end within 1 s and was killed with all that it had started" in ended.error_message
    assert len((workshop.folder / "pids").read_text().split()) == 3
    assert nobody_left(workshop.folder / "pids")
    [check] = workshop.rows(tables.checks)
    assert (check.state, "did not end within 1 s" in check.summary) == ("failure", True)


def test_a_suite_that_leaves_a_daemon_behind_ends_and_the_daemon_with_it(workshop: Workshop):
    script = (
        "(setsid sh -c 'echo $$ > $OUT/pids; sleep 300' &) ; until [ -s $OUT/pids ]; do :; done; echo done"
    )
    begun = time.monotonic()
    ended = after_running(workshop, "sh", "-c", script)
    assert (ended.status, ended.error_message) == ("completed", None)
    assert time.monotonic() - begun < 60
    assert nobody_left(workshop.folder / "pids")


@pytest.mark.parametrize("line", ["yes", "tr '\\0' x < /dev/zero"], ids=["lines", "one line"])
def test_a_gigabyte_of_output_fills_neither_memory_nor_log(workshop: Workshop, line: str):
    before = psutil.Process().memory_info().rss
    ended = after_running(workshop, "sh", "-c", f"{line} | head -c 1000000000; echo the end; exit 3")
    assert ended.status == "failed"
    assert "ended with exit code 3" in ended.error_message
    assert "the end" in ended.error_message
    assert len(ended.error_message) < 8000
    assert psutil.Process().memory_info().rss - before < 100_000_000
    assert len(workshop.log) < 6000
    assert any("further output is not shown" in line for line in workshop.log)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
REPORTS = {
    "a billion laughs": (
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><testsuite>&l9;</testsuite>',
        "document type",
    ),
    "another file": (
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&f;"/></testsuite>',
        "document type",
    ),
    "cut off": ('<testsuite><testcase name="a"/>', "not well-formed"),
    "no XML": ('{"tests": 3}', "not well-formed"),
    "nothing": ("", "not well-formed"),
    "another root": ("<html><body/></html>", "no test was found"),
    "totals only": ('<testsuite tests="5" failures="0"/>', "no test was found"),
    "very deep": ("<a>" * 1000, "nested deeper"),
}


@pytest.mark.parametrize(("report", "why"), REPORTS.values(), ids=REPORTS.keys())
def test_a_hostile_report_is_no_pass_and_explained(workshop: Workshop, report: str, why: str):
    ended = written(workshop, f"open('junit.xml', 'w').write({report!r})")
    assert ended.status == "failed"
    assert why in ended.error_message
    assert "root:" not in ended.error_message


KINDS = {
    "none": "pass",
    "a directory": "import os; os.mkdir('junit.xml')",
    "a pipe": "import os; os.mkfifo('junit.xml')",
    "a link to another file": (
        f"import os; open(os.environ['OUT'] + '/j', 'w').write({PASSING!r}); "
        "os.symlink(os.environ['OUT'] + '/j', 'junit.xml')"
    ),
}


@pytest.mark.parametrize("script", KINDS.values(), ids=KINDS.keys())
def test_what_is_no_file_of_the_suite_is_no_report(workshop: Workshop, script: str):
    ended = written(workshop, script)
    assert ended.status == "failed"
    assert "no test was found in 'junit*.xml'" in ended.error_message


def test_a_report_of_a_hundred_megabytes_is_refused(workshop: Workshop):
    before = psutil.Process().memory_info().rss
    ended = written(workshop, "open('junit.xml', 'w').truncate(100_000_000)")
    assert "a JUnit file is larger than" in ended.error_message
    assert psutil.Process().memory_info().rss - before < 200_000_000


def test_names_of_tests_that_are_long_hostile_and_many_stay_data(workshop: Workshop):
    name = "\\u202e$(touch pwned)" + "x" * 100_000
    script = (
        "cases = ''.join(f'<testcase name=\"{n}" + name + "\"><failure/></testcase>' for n in range(200)); "
        "open('junit.xml', 'w', encoding='utf-8').write(f'<testsuite>{cases}</testsuite>')"
    )
    ended = written(workshop, script)
    assert ended.status == "failed"
    assert "200 tests: 0 passed, 200 failed" in ended.error_message
    assert len(ended.error_message) < 8000
    assert not [*workshop.folder.rglob("pwned*")]


def live_release(workshop: Workshop) -> Path | None:
    link = workshop.app.settings.home / "environments/qa/current"
    return link.resolve() if link.exists() else None


def deployed(workshop: Workshop) -> tuple[Any, list[str]]:
    """What `qa` is recorded to run, and the states of the deployments."""
    [qa] = workshop.rows(tables.environments)
    rows = sorted(workshop.rows(tables.deployments), key=lambda row: row.started_at)
    return qa.current_commit, [row.state for row in rows]


@pytest.mark.parametrize(
    ("command", "health", "why"),
    [
        ("echo no room >&2; exit 7", "true", "ended with exit code 7; its last words:\nno room"),
        ("true", "echo warming up; exit 1", "the health check ended with exit code 1"),
        ("kill -9 $$", "true", "was ended by signal 9"),
    ],
    ids=["command", "health", "signal"],
)
def test_a_deployment_that_fails_is_not_what_the_environment_runs_and_a_retry_works(
    workshop: Workshop, command: str, health: str, why: str
):
    shop_of(workshop)
    workshop.watch("shop", more=DEPLOY.format(command=command, health=health))
    push(workshop)
    [ended] = workshop.carry_out_all()
    assert ended.status == "failed"
    assert why in ended.error_message
    assert deployed(workshop) == (None, ["failed"])
    assert live_release(workshop) is None

    shop_of(workshop)
    workshop.watch("shop", more=DEPLOY.format(command="true", health="true"))
    assert workshop.dct("execution", "retry", str(ended.id)).code == 0
    [again] = workshop.carry_out_all()
    assert (again.status, again.error_message) == ("completed", None)
    assert deployed(workshop) == (shop_of(workshop).head("qa"), ["succeeded"])


def test_a_failed_deployment_leaves_the_release_before_it_live(workshop: Workshop):
    shop_of(workshop)
    workshop.watch("shop", more=DEPLOY.format(command="test ! -e feature-y", health="true"))
    push(workshop)
    workshop.carry_out_all()
    live, states = deployed(workshop)
    current = live_release(workshop)
    assert (live, states) == (shop_of(workshop).head("qa"), ["succeeded"])
    push(workshop, "feature/y")
    [ended] = workshop.carry_out_all()
    assert ended.status == "failed"
    assert deployed(workshop) == (live, ["succeeded", "failed"])
    assert live_release(workshop) == current
