"""The services of this process, as ops and sensors ask for them: one set for each process and settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.gateway import RunGateway
from dct_pipelines.settings import Settings, load_settings

GatewayFactory = Callable[[Settings], RunGateway]


class DctResource:
    """Gives `app`. Pools are shared by the threads of a process and never carried across a fork.

    The settings are read once for each load of the definitions: steps ask for the services again and again.
    """

    def __init__(self, make_gateway: GatewayFactory) -> None:
        self._make_gateway = make_gateway
        self._found: tuple[int, App] | None = None

    @property
    def app(self) -> App:
        """The process's services, with a database that is migrated."""
        process = os.getpid()
        if self._found is None or self._found[0] != process:
            self._found = process, _app(process, load_settings(), self._make_gateway)
        return self._found[1]


@lru_cache(maxsize=4)
def _app(_process: int, settings: Settings, make_gateway: GatewayFactory) -> App:
    return build(settings, make_gateway(settings)).ready()
