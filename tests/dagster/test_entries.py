"""Events are stored as the very text that the pinned Dagster would store."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.inputs import StepInputData
from dagster._core.execution.plan.objects import TypeCheckData
from dagster_shared.serdes import serialize_value
from dagster_shared.serdes.errors import SerializationError
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.instance.entries import text_of
from tests.support.deployment import *  # noqa: F403
from tests.support.warm import Workshop

pytestmark = pytest.mark.dagster
MODULE = "tests.support.warm_jobs"
NESTED = st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def nested(found: object) -> dg.JsonMetadataValue:
    """JSON of any depth."""
    return dg.MetadataValue.json([found])


@pytest.fixture
def workshop(project: Path) -> Iterator[Workshop]:
    opened = Workshop(project, MODULE)
    yield opened
    opened.close()


def entry(message: str = "", event: dg.DagsterEvent | None = None) -> dg.EventLogEntry:
    """An entry of some run."""
    return dg.EventLogEntry(None, 20, message, "a run", 12.5, "a step", "a job", event)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("job_name", ["three", "breaks", "interrupted"])
def test_every_event_of_a_run_is_written_as_dagster_writes_it(workshop: Workshop, job_name: str):
    run, seen = workshop.make(job_name), list[dg.EventLogEntry]()
    workshop.instance.add_event_listener(run.run_id, seen.append)
    workshop.do(run)
    assert len(seen) > 5
    for one in seen:
        assert text_of(one) == serialize_value(one)


@given(
    st.dictionaries(
        st.text(),
        st.one_of(
            st.text(),
            st.integers(),
            st.floats(allow_nan=False),
            st.booleans(),
            NESTED.map(nested),
            st.text(min_size=1).map(dg.MetadataValue.md),
            st.text(min_size=1).map(dg.MetadataValue.url),
        ),
        max_size=5,
    ),
    st.text(),
)
def test_whatever_an_event_carries_is_written_as_dagster_writes_it(metadata: dict[str, object], text: str):
    data = EngineEventData(metadata)  # type: ignore[arg-type]
    event = dg.DagsterEvent("ENGINE_EVENT", "a job", event_specific_data=data, message=text)
    assert text_of(entry(text, event)) == serialize_value(entry(text, event))


def test_tables_and_their_columns_are_written_as_dagster_writes_them():
    schema = dg.TableSchema(
        [dg.TableColumn("a", "int", constraints=dg.TableColumnConstraints(nullable=False))]
    )
    table = dg.MetadataValue.table([dg.TableRecord({"a": 1})], schema)
    event = dg.DagsterEvent(
        "ENGINE_EVENT", "a job", event_specific_data=EngineEventData({"rows": table, "form": schema})
    )
    assert text_of(entry(event=event)) == serialize_value(entry(event=event))


def test_classes_that_forbid_to_be_iterated_over_are_written_as_dagster_writes_them():
    data = StepInputData(input_name="v", type_check_data=TypeCheckData(True, "v"))  # type: ignore[no-untyped-call]
    event = dg.DagsterEvent("STEP_INPUT", "a job", event_specific_data=data)
    assert text_of(entry(event=event)) == serialize_value(entry(event=event))


class Unknown(NamedTuple):
    """Nothing that Dagster has heard of."""

    value: int


class Colour(enum.Enum):
    """Neither."""

    RED = 1


@pytest.mark.parametrize("value", [Unknown(1), Colour.RED])
def test_what_dagster_refuses_to_store_is_refused(value: object):
    odd = entry()._replace(dagster_event=value)  # type: ignore[arg-type]
    with pytest.raises(SerializationError):
        serialize_value(odd)
    with pytest.raises(SerializationError):
        text_of(odd)
