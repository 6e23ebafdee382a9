"""A deployer in memory that deduplicates by key, and a runner of suites that answers what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.ports import DeployRequest, DeployResult, SuiteRequest, SuiteRun
from dct_pipelines.domain.process import ProcessResult


class FakeDeployer:
    """`running` is what each environment runs, `asked` every request, `deployed` every key that did."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self.asked: list[DeployRequest] = []
        self.deployed: list[str] = []
        self.problem: DctError | str | None = None

    def deploy(self, request: DeployRequest) -> DeployResult:
        self.asked.append(request)
        if isinstance(self.problem, DctError):
            raise self.problem
        if self.problem is not None:
            return DeployResult(False, self.problem)
        if request.key not in self.deployed:
            self.deployed.append(request.key)
        self.running[request.environment.name] = request.commit
        return DeployResult(True, "is up", "https://qa.example.org")


class FakeSuites:
    """Answers every run with `process` and `reports`."""

    def __init__(self, reports: Sequence[bytes] = (), process: ProcessResult | None = None) -> None:
        self.reports = tuple(reports)
        self.process = process or ProcessResult(exit_code=0)
        self.asked: list[SuiteRequest] = []

    def run(self, request: SuiteRequest) -> SuiteRun:
        self.asked.append(request)
        return SuiteRun(self.process, self.reports)
