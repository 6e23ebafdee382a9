"""The deployers in particular: releases on disk, health, and what another system is sent and says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.deployers import LocalDeployment, Releases, WebhookDeployment
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.deployers.releases import KEPT_RELEASES
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, CredentialRefused
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import (
    EnvironmentSpec,
    HealthCheck,
    LocalDeployer,
    ProcessLimits,
    WebhookDeployer,
)
from dct_pipelines.domain.ports import DeployRequest, DeployResult, Repository
from dct_pipelines.domain.process import IsolationMode
from dct_pipelines.domain.signing import sign
from tests.fakes.ports import EXECUTION, NOON, FakeClock, FakeSecrets
from tests.support.receiver import Receiver, receiver
from tests.support.repos import SampleRepository

pytestmark = pytest.mark.integration

SECRETS = FakeSecrets({"env:HOOK": "s3cret", "env:TOKEN": "tok-12345"})


class Deployments:
    """Deploys commits of a sample repository to `qa`, locally or by webhook."""

    def __init__(self, directory: Path, mode: IsolationMode = IsolationMode.NONE) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.sample = SampleRepository.create(directory / "shop.git")
        self.commit = self.sample.commit("qa", {"page.html": "1\n", "sub/x.txt": "x\n"})
        self.processes = Processes(self.home, mode)
        self.git = GitClient(self.home / "git", self.processes)
        self.releases = Releases(self.home)
        self.slept: list[float] = []
        self.log: list[str] = []
        self.cancelled = False

    @property
    def health(self) -> Health:
        return Health(self.processes, SECRETS, self.slept.append)

    def local(
        self, *command: str, key: str = "k1", commit: str | None = None, **changes: Any
    ) -> DeployResult:
        deployer = {
            name: changes.pop(name)
            for name in ("working_directory", "secrets", "environment_variables", "writable")
            if name in changes
        }
        spec = self.spec(LocalDeployer(command=command, **deployer), **changes)
        port = LocalDeployment(self.releases, self.git, self.processes, SECRETS, self.health)
        return port.deploy(self.request(spec, key, commit))

    def webhook(self, server: Receiver, **changes: Any) -> DeployResult:
        deployer = WebhookDeployer(url=server.url, secret="env:HOOK", allow_private_network=True)
        port = WebhookDeployment(SignedPost(SECRETS, FakeClock()), self.health)
        return port.deploy(self.request(self.spec(deployer, **changes), "k1", None))

    def spec(self, deployer: Any, **changes: Any) -> EnvironmentSpec:
        return EnvironmentSpec(name="qa", repository="shop", branch="qa", deployer=deployer, **changes)

    def request(self, spec: EnvironmentSpec, key: str, commit: str | None) -> DeployRequest:
        return DeployRequest(
            environment=spec,
            repository=Repository(UUID(int=1), "shop", RepositoryRef(self.sample.url)),
            commit=commit or self.commit,
            key=key,
            execution_id=EXECUTION,
            log=self.log.append,
            is_cancelled=lambda: self.cancelled,
        )

    @property
    def current(self) -> Path:
        found = self.releases.current("qa")
        assert found is not None
        return found


@pytest.fixture
def qa(tmp_path: Path) -> Deployments:
    return Deployments(tmp_path)


@pytest.fixture
def server() -> Iterator[Receiver]:
    with ExitStack() as stack:
        yield stack.enter_context(receiver())


def test_the_command_finds_the_files_and_the_facts(qa):
    qa.local("sh", "-c", "pwd; cat page.html; env | grep ^DCT_ | sort; test ! -e .git")
    assert str(qa.current) in qa.log
    assert "1" in qa.log
    facts = dict(line.split("=", 1) for line in qa.log if line.startswith("DCT_"))
    assert facts == {
        "DCT_ENVIRONMENT": "qa",
        "DCT_COMMIT": qa.commit,
        "DCT_BRANCH": "qa",
        "DCT_IDEMPOTENCY_KEY": "k1",
        "DCT_RELEASE_DIR": str(qa.current),
    }


def test_current_moves_only_to_a_release_that_works(qa):
    assert qa.local("true").succeeded
    first = qa.current
    later = qa.sample.commit("qa", {"page.html": "2\n"})
    result = qa.local("sh", "-c", "echo broken >&2; exit 3", key="k2", commit=later)
    assert (result.succeeded, "exit code 3" in result.summary, "broken" in result.summary) == (
        False,
        True,
        True,
    )
    assert qa.current == first
    assert qa.local("true", key="k2", commit=later).succeeded
    assert (qa.current / "page.html").read_text() == "2\n"


def test_an_attempt_that_died_in_the_middle_starts_over_in_a_fresh_export(qa):
    half = qa.releases.directory("qa", qa.commit, "k1")
    half.mkdir(parents=True)
    (half / "half-done").touch()
    assert qa.local("sh", "-c", "test ! -e half-done && touch done-now", key="k1").succeeded
    assert (qa.current / "done-now").exists()


def test_a_command_that_succeeded_is_not_run_again_when_only_the_check_is_missing(qa, server):
    counter = qa.home / "count"
    command = ("sh", "-c", f"echo x >> {counter}")
    check = HealthCheck(url=server.url, attempts=1)
    server.answers = [(200, b"")]
    assert qa.local(*command, health_check=check).succeeded
    assert qa.local(*command, health_check=check).succeeded
    assert counter.read_text() == "x\n"
    assert any("not running it again" in line for line in qa.log)


def test_health_is_asked_until_it_answers(qa, server):
    server.answers = [(503, b""), (503, b""), (200, b"")]
    result = qa.local("true", health_check=HealthCheck(url=server.url, attempts=5, interval_seconds=2))
    assert (result.succeeded, result.url) == (True, server.url)
    assert qa.slept == [2, 2]


def test_a_release_that_never_gets_healthy_is_a_failure_and_its_command_runs_again(qa, server):
    counter = qa.home / "count"
    command = ("sh", "-c", f"echo x >> {counter}")
    server.answers = [(500, b"")]
    check = HealthCheck(url=server.url, attempts=2)
    for _ in range(2):
        result = qa.local(*command, health_check=check)
        assert (result.succeeded, "got 500" in result.summary) == (False, True)
    assert qa.releases.current("qa") is None
    assert counter.read_text() == "x\nx\n"


def test_health_can_be_a_command(qa):
    check = HealthCheck(command=("test", "-e", "ready"), attempts=2)
    assert qa.local("touch", "ready", health_check=check).succeeded
    failed = qa.local("true", key="k2", health_check=check)
    assert "exit code 1" in failed.summary
    missing = HealthCheck(command=("no-such-program-at-all",), attempts=1)
    assert "no-such-program-at-all" in qa.local("true", key="k3", health_check=missing).summary


def test_a_command_that_hangs_is_killed_and_explained(qa):
    result = qa.local("sleep", "60", limits=ProcessLimits(timeout_seconds=1))
    assert "did not end within 1 s" in result.summary


def test_a_program_that_is_not_there_is_explained(qa):
    with pytest.raises(ActionFailed, match="no-such-program"):
        qa.local("no-such-program")


def test_a_cancelled_deployment_is_no_failure_of_the_command(qa):
    qa.cancelled = True
    with pytest.raises(ActionInterrupted, match="cancelled"):
        qa.local("sleep", "60")


def test_secrets_reach_the_command_and_nothing_else(qa):
    result = qa.local("sh", "-c", 'echo "token $TOKEN"; exit 1', secrets={"TOKEN": "env:TOKEN"})
    assert "token [TOKEN]" in qa.log
    assert "tok-12345" not in result.summary
    with pytest.raises(CredentialRefused, match="env:NONE"):
        qa.local("true", key="k2", secrets={"X": "env:NONE"})


def test_the_working_directory_stays_within_the_commit(qa):
    assert qa.local("test", "-e", "x.txt", working_directory="sub").succeeded
    for place in ("..", "/etc", "nowhere", "page.html"):
        with pytest.raises(ActionFailed, match="is not a directory of that commit"):
            qa.local("true", key=place, working_directory=place)


def test_old_releases_are_removed_and_the_live_one_stays(qa):
    for number in range(KEPT_RELEASES + 3):
        qa.local("true", key=f"k{number}")
    kept = [path for path in (qa.home / "environments/qa/releases").iterdir() if path.is_dir()]
    assert len(kept) == KEPT_RELEASES
    assert qa.current in kept
    marks = list((qa.home / "environments/qa/releases").glob("*.done"))
    assert len(marks) == KEPT_RELEASES


def test_a_command_can_write_its_release_when_it_is_isolated(tmp_path):
    for place in (tmp_path, *list(tmp_path.parents)[:2]):
        place.chmod(0o755)
    isolated = Deployments(tmp_path, IsolationMode.AUTO)
    assert isolated.local("sh", "-c", "echo built > built.txt").succeeded
    assert (isolated.current / "built.txt").read_text() == "built\n"


def test_another_system_gets_one_signed_post(qa, server):
    server.answers = [(200, b'{"url": "https://qa.example.org/1", "summary": "queued\\nas 7"}')]
    result = qa.webhook(server)
    assert result == DeployResult(True, "queued as 7", "https://qa.example.org/1")
    (request,) = server.requests
    told = json.loads(request.body)
    assert (told["type"], told["environment"], told["commit"]) == ("deploy", "qa", qa.commit)
    timestamp = str(int(NOON.timestamp()))
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == "k1"
    assert request.headers["webhook-timestamp"] == timestamp
    signed = f"k1.{timestamp}.".encode() + request.body
    expected = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_a_signature_is_what_the_standard_says():
    """The example of https://github.com/standard-webhooks/standard-webhooks (its libraries' test vector)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(CredentialRefused):
        sign("whsec_not base64!", "m", 1, body)


@pytest.mark.parametrize("status", [500, 503, 429, 408, 425])
def test_a_system_that_asks_for_another_attempt_gets_it(qa, server, status):
    server.answers = [(status, b"")]
    with pytest.raises(ActionInterrupted, match=str(status)):
        qa.webhook(server)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422])
def test_a_system_that_refuses_is_a_failure(qa, server, status):
    server.answers = [(status, b"secret details")]
    result = qa.webhook(server)
    assert (result.succeeded, str(status) in result.summary) == (False, True)
    assert "secret details" not in result.summary


@pytest.mark.parametrize("body", [b"", b"OK", b"[1]", b'{"url": 5}', b'{"url": "javascript:alert(1)"}'])
def test_any_other_answer_is_taken_for_a_yes(qa, server, body):
    server.answers = [(202, body)]
    assert qa.webhook(server) == DeployResult(True, f"qa took {qa.commit[:8]}", None)


def test_health_is_asked_after_the_webhook_too(qa, server):
    server.answers = [(200, b"{}"), (500, b"")]
    result = qa.webhook(server, health_check=HealthCheck(url=server.url, attempts=2))
    assert (result.succeeded, "got 500" in result.summary) == (False, True)
