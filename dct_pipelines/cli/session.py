"""What a command works with: the services over a database that is there and fits this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.domain.errors import InvalidSetting
    from dct_pipelines.domain.gateway import RunGateway
    from dct_pipelines.engine.manage import Catalog
    from dct_pipelines.settings import Settings


@contextmanager
def services(*, dagster: bool = False) -> Iterator[App]:
    """The services. An embedded database is started and migrated; one of your own must be migrated.

    `dagster` also opens Dagster's instance, which takes a second or two. `InvalidSetting` where no project is
    and none was named: a deployment that nobody meant would be made there, and look healthy.
    """
    from dct_pipelines.bootstrap import build
    from dct_pipelines.settings import environment, load_settings

    settings = load_settings()
    if not _has_project(settings) and "DAGSTER_HOME" not in environment():
        raise _no_project(settings)
    if settings.logs_json:
        from dct_pipelines.clients import logs

        logs.install(as_json=True)
    app = build(settings, _gateway(settings) if dagster else None)
    try:
        yield app.ready()
    finally:
        app.database.dispose()


def require_project(settings: Settings) -> None:
    """Refuse to work where no project is."""
    if not _has_project(settings):
        raise _no_project(settings)


def catalog_of(app: App) -> Catalog:
    """The definitions, for reading."""
    from dct_pipelines.engine.manage import Catalog

    return Catalog(app.database, app.manager.probe)


def _gateway(settings: Settings) -> RunGateway | None:
    """The way to Dagster; None where no project is, so that nothing is made there."""
    if not _has_project(settings):
        return None
    from dct_pipelines.instance.gateway import gateway_of

    return gateway_of(settings.home, settings.project_root)


def _has_project(settings: Settings) -> bool:
    from dct_pipelines.settings import PROJECT_MARK

    return (settings.project_root / PROJECT_MARK).is_file()


def _no_project(settings: Settings) -> InvalidSetting:
    from dct_pipelines.domain.errors import InvalidSetting
    from dct_pipelines.settings import PROJECT_MARK

    return InvalidSetting(
        f"there is no {PROJECT_MARK} in {settings.project_root}: run this in the project's directory, or "
        "set DAGSTER_HOME to it"
    )
