"""Showing at the git host what we did: checks of commits, and deployments.

It is for people to see, so that a host that does not take it fails nothing; it is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.hosting.hosted import Hosted, host_of, needed_host
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.words import CheckState


def show_check(
    ports: ActionPorts, repository: str, *, commit: str, name: str, state: CheckState, summary: str
) -> str:
    """Show a check at the host of the item `repository`, if it has one; in words why it is not shown."""

    def show() -> None:
        hosted = host_of(ports.library, ports.connections, repository)
        if hosted is not None:
            hosted.host.report_check(
                hosted.repository, commit=commit, name=name, state=state, summary=summary, url=""
            )

    return _told(show)


@dataclass
class DeploymentReport:
    """A deployment as the host shows it. `said` is in words what it was not told."""

    ports: ActionPorts
    hosted: Hosted | None = None
    deployment: str = ""
    said: str = ""

    def begin(self, repository: str, *, commit: str, environment: str, key: str) -> None:
        """Record that it is under way; when the host does not take that, it is not told the end either."""

        def tell() -> None:
            hosted = needed_host(self.ports.library, self.ports.connections, repository, "report_deployment")
            deployment = hosted.host.create_deployment(
                hosted.repository, commit=commit, environment=environment, description="", key=key
            )
            hosted.host.deployment_status(hosted.repository, deployment, state="in_progress", url="")
            self.hosted, self.deployment = hosted, deployment

        self.said = _told(tell)

    def end(self, state: Literal["success", "failure"], url: str) -> None:
        """Record how it ended, if its beginning was recorded."""
        if (hosted := self.hosted) is not None:
            self.said = _told(
                lambda: hosted.host.deployment_status(
                    hosted.repository, self.deployment, state=state, url=url
                )
            )


def _told(tell: Callable[[], None]) -> str:
    try:
        tell()
    except DctError as error:
        return f"the git host was not told: {shown(str(error))}"
    return ""
