"""The stage: a project of its own, fresh each time, with the manifests of `examples/git` and a repository."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dct_pipelines
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.process import Command, ProcessPort
from dct_pipelines.settings import environment

PROJECT = Path(dct_pipelines.__file__).parent.parent
EXAMPLES = Path("examples") / "git"
CLONE_TIMEOUT_SECONDS = 1800
TARGET = "qa"
TESTS = """\
#!/bin/sh
# Three real tests of the shop, told as JUnit XML.
failures=0
cases=""
check() {
  name=$1; shift
  if "$@" > /dev/null 2>&1; then result=""; else result="<failure message='it said no'/>"; failures=1; fi
  cases="$cases<testcase classname='shop' name='$name'>$result</testcase>"
}
check "the shop greets" grep -q Welcome greeting.txt
check "every price is a number" sh -c '! grep -v "^[a-z]* [0-9][0-9]*$" prices.txt'
check "nothing is free" sh -c '! grep -q " 0$" prices.txt'
echo "<testsuite name='shop' tests='3'>$cases</testsuite>" > junit.xml
exit $failures
"""
ANY_TESTS = """\
kind: suite
name: smoke
description: "Your repository: every file of the commit can be read"
command:
  - /bin/sh
  - -c
  - |
    find . -type f -exec cat {} + > /dev/null || no="<failure message='unreadable'/>"
    test="<testcase classname='files' name='every file can be read'>$no</testcase>"
    echo "<testsuite>$test</testsuite>" > dct-junit.xml
junit: dct-junit.xml
"""
SHOP: Mapping[str, str] = {
    "greeting.txt": "Welcome to the shop\n",
    "prices.txt": "apple 3\npear 4\n",
    "tests/run.sh": TESTS,
}


@dataclass(frozen=True)
class Stage:
    """Where the demo plays. `clone` is a developer's working copy of `repository`, which is bare."""

    root: Path
    repository: Path
    clone: Path
    manifests: Path
    processes: ProcessPort
    is_sample: bool

    def git(self, *arguments: str, directory: Path | None = None) -> str:
        """Run git as a developer; a failure is an error with what git said."""
        return _git(self.processes, directory or self.clone, *arguments)

    def push(self, branch: str, files: Mapping[str, str], message: str, *, merge: str | None = None) -> str:
        """Commit files on the branch (new: from the default branch) and push it; returns the head."""
        self.git("fetch", "-q", "origin")
        known = self.git("branch", "--list", branch).strip()
        self.git("checkout", "-q", *([branch] if known else ["-B", branch, "origin/HEAD"]))
        if merge is not None:
            self.git("merge", "-q", "-s", "ours", "--no-edit", f"origin/{merge}")
        for name, content in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", branch)
        return self.git("rev-parse", "HEAD").strip()


def _git(processes: ProcessPort, directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A developer", "-c", "user.email=developer@example.com")
    argv = ("git", *identity, *arguments)
    known = environment()
    keys = {name: known[name] for name in ("SSH_AUTH_SOCK",) if name in known}
    done = processes.run(
        Command(argv=argv, cwd=directory, env=keys, trusted=True, timeout_seconds=CLONE_TIMEOUT_SECONDS)
    )
    if not done.succeeded:
        raise InvalidInput(f"git {arguments[0]} failed: {done.last_words(500)}")
    return done.stdout.decode("utf-8", "replace")


def build_stage(root: Path, processes: ProcessPort, repo: str | None) -> Stage:
    """Lay the project out in `root`, which is emptied first. `repo` is cloned; it is never written to."""
    shutil.rmtree(root, ignore_errors=True)
    repositories = root / "repositories"
    repositories.mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, root / name)
    manifests = root / "manifests"
    shutil.copytree(PROJECT / EXAMPLES, manifests)
    stage = Stage(root, repositories / "shop.git", root / "clone", manifests, processes, repo is None)
    if repo is None:
        _sample(stage)
    else:
        _copy_of(stage, repo)
    return stage


def _sample(stage: Stage) -> None:
    """Make a repository with real commits: `main`, and `qa` where testers look."""
    _git(stage.processes, stage.root, "init", "-q", "--bare", "-b", "main", str(stage.repository))
    _git(stage.processes, stage.root, "clone", "-q", str(stage.repository), str(stage.clone))
    stage.git("checkout", "-q", "-B", "main")
    for name, content in SHOP.items():
        (stage.clone / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.clone / name).write_text(content)
        stage.git("add", "--all")
        stage.git("commit", "-q", "-m", f"Add {name}")
    stage.git("push", "-q", "origin", "main", f"main:{TARGET}")
    stage.git("remote", "set-head", "origin", "main")


def _copy_of(stage: Stage, repo: str) -> None:
    """A bare copy of somebody's repository, with a branch `qa` if it has none."""
    source = str(Path(repo).expanduser().resolve()) if Path(repo).expanduser().exists() else repo
    _git(stage.processes, stage.root, "clone", "-q", "--bare", "--", source, str(stage.repository))
    _git(stage.processes, stage.repository, "remote", "remove", "origin")
    default = stage.git("symbolic-ref", "--short", "HEAD", directory=stage.repository).strip()
    if not stage.git("branch", "--list", default, directory=stage.repository).strip():
        raise InvalidInput(f"{repo} has no commit on its default branch {default}; commit something first")
    if not stage.git("branch", "--list", TARGET, directory=stage.repository).strip():
        stage.git("branch", TARGET, default, directory=stage.repository)
    _git(stage.processes, stage.root, "clone", "-q", str(stage.repository), str(stage.clone))
    suite = stage.manifests / "qa.yaml"
    documents = suite.read_text().split("---\n")
    suite.write_text("---\n".join(ANY_TESTS if "kind: suite" in one else one for one in documents))
