"""A code location of one asset with partitions, a check and a job of it, for tests of what carries it out."""

import dagster as dg

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="UTC")


def _of_a_day(context):
    for day in context.partition_keys:
        context.add_asset_metadata({"day": day}, partition_key=day)
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="sound", passed=True)])


_of_a_day.__annotations__ = {"context": dg.AssetExecutionContext, "return": dg.MaterializeResult}
with dg._utils.warnings.disable_dagster_warnings():
    of_a_day = dg.asset(
        name="of_a_day",
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec(name="sound", asset="of_a_day")],
    )(_of_a_day)
defs = dg.Definitions(
    assets=[of_a_day],
    jobs=[dg.define_asset_job("days", selection=[of_a_day], executor_def=dg.in_process_executor)],
    executor=dg.in_process_executor,
)
