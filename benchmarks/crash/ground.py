"""The ground of a crash test: a project of its own, a repository to push to, environments, triggers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dct_pipelines
from dct_pipelines.settings import Settings, load_settings

SOURCE = Path(dct_pipelines.__file__).parent.parent
ENVIRONMENTS = 4
MANIFESTS = """
kind: connection
name: here
type: git
---
kind: item
name: sample
type: git_repository
connection: here
location: {repository}
---
kind: channel
name: receiver
type: webhook
url: {url}
allow_private_network: true
---
kind: trigger
name: landing
type: development
items: [sample]
conditions:
  - type: branch_ready
    config: {{branch: "feature/*", target_branch: qa}}
actions:
  - type: merge_branches
    config: {{repository: sample, source: "{{{{ event.branch }}}}", target: qa}}
  - type: notify_users
    config:
      channels: [{{channel: receiver}}]
      subject: landed
      text: "{{{{ event.branch }}}}"
limits: {{retry: {{max_attempts: 60, backoff_seconds: 1}}}}
"""
ENVIRONMENT = """
---
kind: environment
name: env-{number}
repository: sample
branch: qa
deployer:
  type: local
  command: [/bin/sh, {script}, {log}]
  writable: [{effects}]
---
kind: trigger
name: release-{number}
type: deployment
items: [sample]
conditions:
  - type: branch_ready
    config: {{branch: "release-{number}/*", target_branch: qa}}
actions:
  - type: deploy_environment
    config: {{environment: env-{number}, branch: "{{{{ event.branch }}}}"}}
  - type: notify_users
    config:
      channels: [{{channel: receiver}}]
      subject: deployed
      text: "{{{{ event.branch }}}}"
limits: {{retry: {{max_attempts: 60, backoff_seconds: 1}}}}
"""
DEPLOY = """
sleep 0.3
printf '%s %s\\n' "$DCT_COMMIT" "$DCT_IDEMPOTENCY_KEY" >> "$1"
"""
"""One short line appended by one write: lines of several deployments never mix."""


@dataclass(frozen=True)
class Ground:
    """Where a crash test happens. `deployments` is written by the deployers' command, outside of us."""

    root: Path
    repository: Path
    clone: Path
    deployments: Path
    settings: Settings

    def git(self, *arguments: str, directory: Path | None = None) -> str:
        """Run git as a developer would."""
        identity = ("-c", "user.name=developer", "-c", "user.email=developer@example.com")
        return subprocess.run(
            ("git", *identity, "-C", str(directory or self.clone), *arguments),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def dct(self, *arguments: str) -> str:
        """Run the command line as an operator would."""
        done = subprocess.run(
            (sys.executable, "-m", "dct_pipelines.cli.main", *arguments),
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"DAGSTER_HOME": str(self.root)},
        )
        if done.returncode:
            raise SystemExit(f"dct {' '.join(arguments)} failed:\n{done.stderr or done.stdout}")
        return done.stdout


def lay(root: Path, url: str) -> Ground:
    """Make the project, the repository with its branch `qa`, and apply the manifests."""
    root.chmod(0o755)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(SOURCE / name, root / name)
    effects = root / "effects"
    effects.mkdir()
    effects.chmod(0o777)
    ground = Ground(
        root,
        root / "sample.git",
        root / "clone",
        effects / "deployments.log",
        load_settings({"DAGSTER_HOME": str(root)}),
    )
    ground.git("init", "-q", "--bare", "-b", "main", str(ground.repository), directory=root)
    ground.git("clone", "-q", str(ground.repository), str(ground.clone), directory=root)
    (ground.clone / "README").write_text("a sample\n")
    ground.git("add", ".")
    ground.git("commit", "-qm", "Begin")
    ground.git("push", "-q", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/qa")
    script = root / "deploy.sh"
    script.write_text(DEPLOY)
    manifests = MANIFESTS.format(repository=ground.repository, url=url) + "".join(
        ENVIRONMENT.format(number=n, script=script, log=ground.deployments, effects=effects)
        for n in range(ENVIRONMENTS)
    )
    (root / "manifests.yaml").write_text(manifests)
    ground.dct("apply", "-f", str(root / "manifests.yaml"))
    return ground
