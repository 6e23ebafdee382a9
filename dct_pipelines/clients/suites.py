"""Runs test suites: in a workspace, in an environment's release, or in a fresh export of the commit.

Of the files that match the suite's pattern, only those count that this run wrote; no link is followed out
of the directory, and number and size are bounded.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.deployers.local import directory_within
from dct_pipelines.clients.deployers.releases import Releases
from dct_pipelines.clients.files import disk_error
from dct_pipelines.domain.commands import OperatorCommand, run_command
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.git import GitPort
from dct_pipelines.domain.git_refs import as_oid
from dct_pipelines.domain.junit import LARGEST_BYTES
from dct_pipelines.domain.ports import SecretsPort, SuiteRequest, SuiteRun, WorkspaceFilesPort
from dct_pipelines.domain.process import ProcessPort
from dct_pipelines.domain.words import WorkspaceCode

MOST_REPORTS = 500
_MOST_FILES_LOOKED_AT = 200_000

Stamp = tuple[int, int]


@dataclass(frozen=True)
class SuiteRunner:
    """`scratch` is where commits are exported to; each export is removed after its run."""

    scratch: Path
    git: GitPort
    processes: ProcessPort
    secrets: SecretsPort
    workspaces: WorkspaceFilesPort
    releases: Releases

    def run(self, request: SuiteRequest) -> SuiteRun:
        """Run it with DCT_COMMIT, DCT_SUITE, DCT_IDEMPOTENCY_KEY and, if there is one, DCT_ENVIRONMENT."""
        suite = request.suite
        with self._place(request) as directory:
            cwd = directory_within(directory, suite.working_directory)
            before = _reports(cwd, suite.junit)
            command = OperatorCommand(
                argv=suite.command,
                cwd=cwd,
                variables=_variables(request),
                secrets=suite.secrets,
                limits=suite.limits,
                writable=(directory,),
                log=request.log,
                is_cancelled=request.is_cancelled,
            )
            process = run_command(self.processes, self.secrets, command)
            written = [
                path for path, stamp in _reports(cwd, suite.junit).items() if before.get(path) != stamp
            ]
            return SuiteRun(process, tuple(_read(cwd, path) for path in sorted(written)[:MOST_REPORTS]))

    @contextmanager
    def _place(self, request: SuiteRequest) -> Iterator[Path]:
        if request.workspace_id:
            directory = self.workspaces.directory_for(request.workspace_id)
            code = self.workspaces.code(request.workspace_id)
            if code is not WorkspaceCode.THERE:
                what = "is gone" if code is WorkspaceCode.GONE else "holds no code"
                way_back = "`dct restore workspace` brings it back"
                raise ActionFailed(f"the workspace {directory} {what}; {way_back}")
            yield directory
            return
        release = self.releases.current(request.environment) if request.environment else None
        if release is not None:
            if self.releases.commit_of(release) != request.commit:
                raise ActionInterrupted(
                    f"{request.environment} is between two deployments; it is tried again when it is settled"
                )
            yield release
            return
        try:
            self.scratch.mkdir(mode=0o711, parents=True, exist_ok=True)
            outer = Path(tempfile.mkdtemp(prefix="suite-", dir=self.scratch))
        except OSError as error:
            raise disk_error(f"{self.scratch} cannot be written", error) from error
        outer.chmod(0o711)
        try:
            self.git.checkout_to(request.repository.ref, as_oid(request.commit), outer / "tree")
            yield outer / "tree"
        finally:
            shutil.rmtree(outer, ignore_errors=True)


def _variables(request: SuiteRequest) -> dict[str, str]:
    variables = {
        **request.suite.environment_variables,
        "DCT_COMMIT": request.commit,
        "DCT_SUITE": request.suite.name,
        "DCT_IDEMPOTENCY_KEY": request.key,
    }
    return variables | ({"DCT_ENVIRONMENT": request.environment} if request.environment else {})


def _reports(directory: Path, pattern: str | None) -> dict[Path, Stamp]:
    """Regular files that match, with what tells whether they were written anew."""
    if pattern is None:
        return {}
    if pattern.startswith("/") or ".." in Path(pattern).parts:
        raise ActionFailed(f"the suite's junit {pattern!r} must stay within its working directory")
    found: dict[Path, Stamp] = {}
    for count, path in enumerate(directory.glob(pattern)):
        if count >= _MOST_FILES_LOOKED_AT:
            break
        status = path.lstat()
        if path.is_file() and not path.is_symlink():
            found[path] = (status.st_mtime_ns, status.st_ino)
    return found


def _read(directory: Path, path: Path) -> bytes:
    """The file, cut just above the largest size that is accepted, so that its reader can say so."""
    if not path.resolve().is_relative_to(directory.resolve()):
        return b""
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES + 1)
