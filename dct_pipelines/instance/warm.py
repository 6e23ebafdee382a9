"""The warm worker pool's own process: `python -m dct_pipelines.instance.warm --door SOCKET`.

Loads the definitions once, without a database, a channel of gRPC or a second thread that outlives it, and
becomes a zygote (`clients/pool`). `dct up` starts one for each generation of definitions.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import logging
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.server import LoadedRepositories

from dct_pipelines.clients import logs, printed
from dct_pipelines.clients.pool.roster import Size
from dct_pipelines.clients.pool.worker import Work
from dct_pipelines.clients.pool.zygote import Zygote
from dct_pipelines.instance import levers
from dct_pipelines.instance.running import RunWorker, plans_of
from dct_pipelines.settings import load_settings
from dct_pipelines.store.revision import newest

COLLECT_AFTER = 50_000
"""Allocations between a worker's collections: a run makes many objects that live until its end."""
MODULE = "dct_pipelines.definitions"
USED_BY_RUNS = (
    "alembic.runtime.migration",
    "dagster._core.execution.api",
    "dagster._core.executor.in_process",
    "dagster._core.execution.plan.execute_plan",
    "dagster._core.launcher",
    "dagster._core.run_coordinator",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.fs_io_manager",
    "dagster._core.storage.noop_compute_log_manager",
    "sqlalchemy.dialects.postgresql.psycopg2",
)
"""What a run would import on its way, besides our own rooms: here once, instead of once in each worker."""
ROOMS = ("bootstrap", "clients", "engine", "instance", "store")


def main() -> None:
    """Load, and serve until told to end."""
    parser = argparse.ArgumentParser(prog="warm-pool", description=__doc__)
    parser.add_argument("--door", type=Path, required=True, help="the socket to be asked through")
    parser.add_argument("--module", default=MODULE, help="where the definitions are")
    parser.add_argument("--workers", type=int, default=Size().base, help="workers kept ready")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    faulthandler.enable()
    settings = load_settings()
    logs.install(settings.logs_json)
    repository = load_repository(asked.module, settings.project_root)
    for name in (*USED_BY_RUNS, *_our_modules()):
        importlib.import_module(name)
    levers.pull_all()
    plans = plans_of(repository)
    newest()
    jobs = sorted(job.name for job in repository.get_definition().get_all_jobs())

    def prepare() -> Work:
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        printed.capture()
        return RunWorker(repository, settings.project_root, plans).work

    marks = settings.home / "run" / "workers"
    size = Size(base=asked.workers)
    logging.getLogger(__name__).info("%d jobs are loaded", len(jobs))
    Zygote(asked.door, marks, prepare, {"jobs": jobs}, size).run()


def _our_modules() -> Iterator[str]:
    """Every module of the rooms that a run goes through; migrations and programs are not among them."""
    for room in ROOMS:
        package = importlib.import_module(f"dct_pipelines.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in module.name and not module.name.endswith("__main__"):
                yield module.name


def load_repository(module: str, directory: Path) -> ReconstructableRepository:
    """The code location's one repository, with every definition made."""
    origin = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=module, working_directory=str(directory)
    )
    loaded = LoadedRepositories(origin, container_image=None, entry_point=["dagster"], container_context=None)
    (repository,) = loaded.reconstructables_by_name.values()
    repository.get_definition().load_all_definitions()
    return repository


if __name__ == "__main__":
    main()
