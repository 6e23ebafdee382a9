"""Every deployer, the fake one included: a key takes effect once, and a failure is a result that says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from dct_pipelines.clients.deployers import LocalDeployment, PipelineDeployment, Releases, WebhookDeployment
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import EnvironmentSpec, LocalDeployer, WebhookDeployer
from dct_pipelines.domain.pipelines import GithubActionsDeployer
from dct_pipelines.domain.ports import DeployerPort, DeployRequest, Repository
from dct_pipelines.domain.process import IsolationMode
from dct_pipelines.domain.words import CheckState
from tests.fakes.deployers import FakeDeployer
from tests.fakes.ports import EXECUTION, FakeClock, FakeSecrets
from tests.fakes.shop import Shop
from tests.support.receiver import receiver
from tests.support.repos import SampleRepository


@dataclass
class Case:
    """A deployer, what it may be asked, the keys that took effect, and a way to make it fail."""

    port: DeployerPort
    request: Callable[[str], DeployRequest]
    effects: Callable[[], list[str]]
    break_it: Callable[[], None]


def _request(environment: EnvironmentSpec, url: str, commit: str, key: str) -> DeployRequest:
    return DeployRequest(
        environment=environment,
        repository=Repository(UUID(int=1), "shop", RepositoryRef(url)),
        commit=commit,
        key=key,
        execution_id=EXECUTION,
        log=lambda _line: None,
        is_cancelled=lambda: False,
    )


def _fake(_directory: Path) -> Iterator[Case]:
    port = FakeDeployer()
    spec = EnvironmentSpec(
        name="qa", repository="shop", branch="qa", deployer=LocalDeployer(command=("true",))
    )

    def break_it() -> None:
        port.problem = "it is broken"

    yield Case(port, lambda key: _request(spec, "/x", "a" * 40, key), lambda: port.deployed, break_it)


def _local(directory: Path) -> Iterator[Case]:
    sample = SampleRepository.create(directory / "shop.git")
    effects = directory / "effects"
    effects.touch()
    script = f'test ! -e {directory}/broken && echo "$DCT_IDEMPOTENCY_KEY" >> {effects}'
    commit = sample.commit("qa", {"deploy.sh": script})
    spec = EnvironmentSpec(
        name="qa", repository="shop", branch="qa", deployer=LocalDeployer(command=("sh", "deploy.sh"))
    )
    processes = Processes(directory / "home", IsolationMode.NONE)
    git = GitClient(directory / "git", processes)
    health = Health(processes, FakeSecrets())
    port = LocalDeployment(Releases(directory / "home"), git, processes, FakeSecrets(), health)
    yield Case(
        port,
        lambda key: _request(spec, sample.url, commit, key),
        lambda: effects.read_text().split(),
        (directory / "broken").touch,
    )


def _webhook(_directory: Path) -> Iterator[Case]:
    with receiver() as server:
        deployer = WebhookDeployer(url=server.url, secret="env:HOOK", allow_private_network=True)
        spec = EnvironmentSpec(name="qa", repository="shop", branch="qa", deployer=deployer)
        post = SignedPost(FakeSecrets({"env:HOOK": "s3cret"}), FakeClock())
        processes = Processes(_directory, IsolationMode.NONE)

        def effects() -> list[str]:
            return list(dict.fromkeys(request.headers["idempotency-key"] for request in server.requests))

        def break_it() -> None:
            server.answers = [(422, b"")]

        yield Case(
            WebhookDeployment(post, Health(processes, FakeSecrets())),
            lambda key: _request(spec, "/x", "a" * 40, key),
            effects,
            break_it,
        )


def _pipeline(directory: Path) -> Iterator[Case]:
    shop = Shop()
    shop.at_host()
    deployer = GithubActionsDeployer(workflow="deploy.yml", inputs={"commit": "{{ deploy.commit }}"})
    spec = EnvironmentSpec(name="qa", repository="shop", branch="qa", deployer=deployer)
    ends = [CheckState.SUCCESS]

    def pause(_seconds: float) -> None:
        for run_id in shop.host.runs:
            shop.host.finish(run_id, ends[-1])

    health = Health(Processes(directory, IsolationMode.NONE), FakeSecrets())
    yield Case(
        PipelineDeployment(shop.library, shop.connections, shop.git, shop.clock, health, sleep=pause),
        lambda key: _request(spec, shop.repository.url, shop.feature, key),
        lambda: [run.key for run in shop.host.runs.values()],
        lambda: ends.append(CheckState.FAILURE),
    )


DEPLOYERS = {"fake": _fake, "local": _local, "webhook": _webhook, "pipeline": _pipeline}


@pytest.fixture(params=DEPLOYERS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from DEPLOYERS[request.param](tmp_path)


def test_a_commit_gets_there(case):
    result = case.port.deploy(case.request("k1"))
    assert result.succeeded
    assert result.summary
    assert case.effects() == ["k1"]


def test_the_same_key_takes_effect_once(case):
    assert all(case.port.deploy(case.request("k1")).succeeded for _ in range(2))
    assert case.effects() == ["k1"]


def test_another_key_takes_effect_again(case):
    for key in ("k1", "k2"):
        case.port.deploy(case.request(key))
    assert case.effects() == ["k1", "k2"]


def test_a_failure_is_a_result_that_says_why(case):
    case.break_it()
    result = case.port.deploy(case.request("k1"))
    assert not result.succeeded
    assert result.summary
