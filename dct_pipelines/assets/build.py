"""The metric assets: one for each table and grain that the port names.

All of a table's partitions in a run are one step and one refresh, so that a backfill costs one pass over the
facts instead of thousands. A step's checks belong to it: they look at the rows that it has just read back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from dct_pipelines.assets.checks import checks_of
from dct_pipelines.assets.materializing import materialize
from dct_pipelines.assets.partitions import facts_since, partitions_of, span_of
from dct_pipelines.assets.shown import column_schema
from dct_pipelines.bootstrap import App
from dct_pipelines.domain.metrics import SCHEMA, Grain, MetricTable

RESOURCE = "dct"
GROUPS = {Grain.HOUR: "metrics_hourly", Grain.DAY: "metrics_daily"}
FRESH = {
    Grain.HOUR: dg.FreshnessPolicy.time_window(timedelta(hours=4), warn_window=timedelta(hours=2)),
    Grain.DAY: dg.FreshnessPolicy.time_window(timedelta(hours=50), warn_window=timedelta(hours=26)),
}
"""How old the newest materialization may be: to miss one is a warning, to leave it at that a failure."""


def metric_assets(tables: Mapping[str, MetricTable], since: date) -> list[dg.AssetsDefinition]:
    """The assets of these tables, with partitions from `since` on."""
    # Dagster calls backfill policies beta; without them each partition would be a run.
    warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
    places = list(enumerate(tables.values()))
    return [_asset(table, grain, place, since) for place, table in places for grain in table.grains]


def asset_key(table: str, grain: Grain) -> dg.AssetKey:
    """The key of a table's asset. Its last part is the table's name, which is what the UI shows."""
    return dg.AssetKey([SCHEMA, grain.value, table])


def _asset(table: MetricTable, grain: Grain, place: int, since: date) -> dg.AssetsDefinition:
    key = asset_key(table.name, grain)

    def compute(context):  # type: ignore[no-untyped-def]
        app: App = getattr(context.resources, RESOURCE).app
        span = span_of(grain, context.partition_time_window)
        settings = app.settings
        kept_days, gone = settings.metrics_retention_days, app.metrics.deleted_before()
        complete_since = facts_since(gone, kept_days, grain, datetime.now(UTC))
        made = materialize(app.metrics, settings.home, table, span, complete_since)
        for partition, metadata in made.by_partition.items():
            context.add_asset_metadata(metadata, partition_key=partition)
        return dg.MaterializeResult(metadata=made.metadata, check_results=made.checks)

    # Ours are text, which Dagster does not read; that it returns its result spares it an IO manager.
    compute.__annotations__ = {"context": dg.AssetExecutionContext, "return": dg.MaterializeResult}
    return dg.asset(
        key=key,
        description=table.description,
        group_name=GROUPS[grain],
        kinds={"postgres", "parquet"},
        metadata={
            "dagster/column_schema": column_schema(table),
            "dagster/table_name": f"{SCHEMA}.{table.name}",
            "grain": grain.value,
        },
        deps=[asset_key(source, grain) for source in table.sources],
        partitions_def=partitions_of(grain, since),
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=FRESH[grain],
        check_specs=list(_specs(table, key)),
        # Tables come after those that they are computed from.
        op_tags={"dagster/priority": str(-place)},
        required_resource_keys={RESOURCE},
    )(compute)


def _specs(table: MetricTable, key: dg.AssetKey) -> Iterable[dg.AssetCheckSpec]:
    for check in checks_of(table):
        yield dg.AssetCheckSpec(name=check.name, asset=key, description=check.description)
