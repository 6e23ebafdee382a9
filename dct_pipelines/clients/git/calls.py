"""One call of git: inside a repository of ours, or towards somebody's; errors come explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.git import failures
from dct_pipelines.clients.git.environment import Surroundings
from dct_pipelines.clients.git.locations import Location
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.process import Command, ProcessPort, ProcessResult

# Without it git would look for a repository around the current directory, and obey its configuration.
_NO_REPOSITORY = Path("/nonexistent")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLimits:
    """How long a call may take, how much it may say, and how many packs a copy may gather."""

    list_timeout_seconds: float = 60
    fetch_timeout_seconds: float = 1800
    local_timeout_seconds: float = 120
    output_limit_bytes: int = 128 * 1024 * 1024
    packs_before_tidying: int = 50


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs git through the process port, as a trusted tool in clean surroundings."""

    processes: ProcessPort
    surroundings: Surroundings
    limits: GitLimits

    def local(
        self,
        git_dir: Path,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (0,),
        timeout_seconds: float | None = None,
    ) -> ProcessResult:
        """In a repository of ours. An exit code that is not `accepted` is raised by `explain_local`."""
        timeout_seconds = timeout_seconds or self.limits.local_timeout_seconds
        result = self._run(
            ("git", f"--git-dir={git_dir}", *args),
            stdin,
            {**self.surroundings.base(), **(env or {})},
            timeout_seconds,
        )
        if result.timed_out:
            raise ItemTemporarilyUnreadable(
                f"git {args[0]} took longer than {timeout_seconds:.0f} s; it is tried again"
            )
        if result.exit_code not in accepted:
            raise failures.explain_local(failures.words(result), git_dir.parent)
        return result

    def remote(
        self,
        repo: RepositoryRef,
        location: Location,
        *args: str,
        git_dir: Path = _NO_REPOSITORY,
        stdin: bytes = b"",
        timeout_seconds: float | None = None,
        readable_failure: bytes | None = None,
    ) -> ProcessResult:
        """Towards the repository. A failure that prints `readable_failure` is an answer, any other raised."""
        with self.surroundings.towards(repo, location) as (env, secrets):
            argv = ("git", f"--git-dir={git_dir}", *args)
            result = self._run(argv, stdin, env, timeout_seconds or self.limits.list_timeout_seconds)
        if result.stdout_truncated:
            limit = self.limits.output_limit_bytes
            raise ItemUnreadable(
                f"{location.url} has more references than fit into {limit} bytes; raise the limit"
            )
        told = readable_failure is not None and readable_failure in result.stdout
        if not result.succeeded and not told:
            raise failures.explain_remote(result, location, secrets)
        return result

    def _run(
        self, argv: tuple[str, ...], stdin: bytes, env: Mapping[str, str], timeout_seconds: float
    ) -> ProcessResult:
        self.surroundings.prepare()
        return self.processes.run(
            Command(
                argv=argv,
                env=env,
                stdin=stdin,
                timeout_seconds=timeout_seconds,
                output_limit_bytes=self.limits.output_limit_bytes,
                trusted=True,
            )
        )
