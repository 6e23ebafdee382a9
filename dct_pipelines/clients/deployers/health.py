"""Waiting until a deployment answers: a URL with 2xx, or a command with 0."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.domain.commands import OperatorCommand, run_command, why_it_failed
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ProcessFailed
from dct_pipelines.domain.operations import EnvironmentSpec, HealthCheck
from dct_pipelines.domain.ports import DeployRequest, SecretsPort
from dct_pipelines.domain.process import ProcessPort

_LONGEST_REQUEST_SECONDS = 10.0


@dataclass(frozen=True)
class Health:
    """Asks as often as the operator says. `sleep` waits between two questions."""

    processes: ProcessPort
    secrets: SecretsPort
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)

    def wait(
        self, request: DeployRequest, directory: Path | None, variables: Mapping[str, str]
    ) -> str | None:
        """None once it is healthy (or nothing was defined), else why it is not after the last question."""
        check = request.environment.health_check
        if check is None:
            return None
        problem = "was never asked"
        for attempt in range(check.attempts):
            if request.is_cancelled():
                raise ActionInterrupted(f"cancelled while {request.environment.name} was coming up")
            if attempt:
                self.sleep(check.interval_seconds)
            found = self._problem(check, request, directory, variables)
            if found is None:
                request.log(f"healthy after {attempt + 1} of {check.attempts} checks")
                return None
            problem = found
            request.log(f"not healthy yet ({attempt + 1} of {check.attempts}): {problem}")
        return f"the health check {problem}"

    def _problem(
        self,
        check: HealthCheck,
        request: DeployRequest,
        directory: Path | None,
        variables: Mapping[str, str],
    ) -> str | None:
        if check.url:
            return _problem_of_url(check.url)
        if check.command:
            return self._problem_of_command(check.command, request.environment, request, directory, variables)
        return None

    def _problem_of_command(
        self,
        argv: tuple[str, ...],
        environment: EnvironmentSpec,
        request: DeployRequest,
        directory: Path | None,
        variables: Mapping[str, str],
    ) -> str | None:
        command = OperatorCommand(
            argv=argv,
            cwd=directory,
            variables=variables,
            secrets={},
            limits=environment.limits,
            log=request.log,
            is_cancelled=request.is_cancelled,
        )
        try:
            result = run_command(self.processes, self.secrets, command)
        except ProcessFailed as error:
            return str(error)
        return None if result.succeeded else why_it_failed(result, environment.limits)


def _problem_of_url(url: str) -> str | None:
    client = HttpClient(AddressGuard(allow_private_network=True), timeout_seconds=_LONGEST_REQUEST_SECONDS)
    try:
        answer = client.send("GET", url)
    except ActionFailed as error:
        return str(error)
    return None if answer.is_success else f"got {answer.status} from {url}"
