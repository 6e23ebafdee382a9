"""Two jobs of five steps that do nothing: one moves no data between them, the other does as by default."""

from itertools import pairwise

import dagster as dg


def _nothing(number: int) -> dg.OpDefinition:
    return dg.op(
        name=f"step_{number}", ins={"after": dg.In(dg.Nothing)} if number else {}, out=dg.Out(dg.Nothing)
    )(_says)


def _says(context) -> None:
    context.log.info("done")


def _data(number: int) -> dg.OpDefinition:
    if number == 0:
        return dg.op(name="data_0")(_first)
    return dg.op(name=f"data_{number}")(_next)


def _first(context):
    context.log.info("done")
    return 1


def _next(context, before):
    context.log.info("done")
    return before


def _job(name: str, ops: list[dg.OpDefinition], way_in: str) -> dg.JobDefinition:
    dependencies: dict[str, dict[str, dg.DependencyDefinition]] = {ops[0].name: {}}
    for before, op in pairwise(ops):
        dependencies[op.name] = {way_in: dg.DependencyDefinition(before.name)}
    graph = dg.GraphDefinition(name=name, node_defs=ops, dependencies=dependencies)
    return graph.to_job(executor_def=dg.in_process_executor)


defs = dg.Definitions(
    jobs=[
        _job("empty", [_nothing(number) for number in range(5)], "after"),
        _job("with_data", [_data(number) for number in range(5)], "before"),
    ]
)
