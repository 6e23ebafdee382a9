"""Deploys on this machine: export the commit, run the operator's command there, check, switch.

A repeated call with the same key does not run a command that has succeeded again. One that was under way
when its attempt died starts over in a fresh export, with the same DCT_IDEMPOTENCY_KEY.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.deployers.releases import Releases
from dct_pipelines.clients.files import disk_error
from dct_pipelines.domain.commands import OperatorCommand, run_command, why_it_failed
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.git import GitPort
from dct_pipelines.domain.git_refs import as_oid
from dct_pipelines.domain.operations import LocalDeployer
from dct_pipelines.domain.ports import DeployRequest, DeployResult, SecretsPort
from dct_pipelines.domain.process import ProcessPort


@dataclass(frozen=True)
class LocalDeployment:
    """The deployer `local`. The commit has to be in the git cache: fetch it first."""

    releases: Releases
    git: GitPort
    processes: ProcessPort
    secrets: SecretsPort
    health: Health

    def deploy(self, request: DeployRequest) -> DeployResult:
        """Deploy and wait for health; `current` moves only to a release that is healthy."""
        name = request.environment.name
        directory = self.releases.directory(name, request.commit, request.key)
        variables = _variables(request, directory)
        try:
            if self.releases.is_done(directory):
                request.log(f"an earlier attempt has run the command of {name}; not running it again")
            elif problem := self._install(request, directory, variables):
                return DeployResult(False, f"the command of {name} {problem}")
            if problem := self.health.wait(request, directory, variables):
                self.releases.forget(directory)
                return DeployResult(False, problem)
            self.releases.activate(name, directory)
            self.releases.prune(name)
        except OSError as error:
            raise disk_error(f"the releases of {name} cannot be written", error) from error
        check = request.environment.health_check
        return DeployResult(True, f"{name} runs {request.commit[:8]}", check.url if check else None)

    def _install(self, request: DeployRequest, directory: Path, variables: dict[str, str]) -> str | None:
        """Export and run the command; None when it succeeded, else how it ended."""
        deployer = _definition(request)
        self.releases.prepare(directory)
        self.git.checkout_to(request.repository.ref, as_oid(request.commit), directory)
        command = OperatorCommand(
            argv=deployer.command,
            cwd=directory_within(directory, deployer.working_directory),
            variables=variables,
            secrets=deployer.secrets,
            limits=request.environment.limits,
            writable=(directory, *map(Path, deployer.writable)),
            log=request.log,
            is_cancelled=request.is_cancelled,
        )
        result = run_command(self.processes, self.secrets, command)
        if result.cancelled:
            raise ActionInterrupted(f"cancelled while the command of {request.environment.name} ran")
        if not result.succeeded:
            return why_it_failed(result, request.environment.limits)
        self.releases.mark_done(directory, request.commit)
        return None


def directory_within(directory: Path, relative: str) -> Path:
    """A directory of the exported tree; a link in the tree that leads out of it is refused."""
    found = (directory / relative).resolve()
    if not found.is_relative_to(directory.resolve()) or not found.is_dir():
        raise ActionFailed(
            f"the working directory {relative!r} is not a directory of that commit; correct the manifest"
        )
    return found


def _definition(request: DeployRequest) -> LocalDeployer:
    deployer = request.environment.deployer
    if not isinstance(deployer, LocalDeployer):
        raise ActionFailed(f"{request.environment.name} is not deployed on this machine")
    return deployer


def _variables(request: DeployRequest, directory: Path) -> dict[str, str]:
    return {
        **_definition(request).environment_variables,
        "DCT_ENVIRONMENT": request.environment.name,
        "DCT_COMMIT": request.commit,
        "DCT_BRANCH": request.environment.branch,
        "DCT_IDEMPOTENCY_KEY": request.key,
        "DCT_RELEASE_DIR": str(directory),
    }
