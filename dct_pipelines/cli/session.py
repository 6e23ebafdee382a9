"""What a command works with: the services over a database that is there and fits this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.domain.ports import RunGateway
    from dct_pipelines.engine.manage import Catalog
    from dct_pipelines.settings import Settings


@contextmanager
def services(*, dagster: bool = False) -> Iterator[App]:
    """The services. An embedded database is started and migrated; one of your own must be migrated.

    `dagster` also opens Dagster's instance, which takes a second or two.
    """
    from dct_pipelines.bootstrap import build
    from dct_pipelines.settings import load_settings

    settings = load_settings()
    app = build(settings, _gateway(settings) if dagster else None)
    try:
        app.ready()
        if settings.database_url is not None:
            _require_release(app)
        yield app
    finally:
        app.database.dispose()


def _require_release(app: App) -> None:
    """A database of one's own is changed by `dct db migrate` only, when its operator says so."""
    from dct_pipelines.domain.errors import SchemaMismatch
    from dct_pipelines.store.schema import current_revision, head_revision

    with app.database.connect() as connection:
        found = current_revision(connection)
    if found != (wanted := head_revision()):
        state = f"is at revision {found}" if found else "has no tables of ours yet"
        raise SchemaMismatch(f"the database {state}, this release needs {wanted}; run `dct db migrate`")


def catalog_of(app: App) -> Catalog:
    """The definitions, for reading."""
    from dct_pipelines.engine.manage import Catalog

    return Catalog(app.database, app.manager.probe)


def _gateway(settings: Settings) -> RunGateway | None:
    """The way to Dagster; None where no project is, so that nothing is made there."""
    from dct_pipelines.settings import PROJECT_MARK

    if not (settings.project_root / PROJECT_MARK).is_file():
        return None
    from dct_pipelines.instance.gateway import gateway_of

    return gateway_of(settings.home, settings.project_root)
