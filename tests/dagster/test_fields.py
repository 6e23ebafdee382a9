"""Configuration models as Dagster's launchpad knows them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from dct_pipelines import registry
from dct_pipelines.jobs.fields import params_field

pytestmark = pytest.mark.dagster


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    size: int = 3


class Model(BaseModel):
    name: Annotated[str, Field(pattern="^a", description="Begins with a.")]
    count: int | None = None
    tags: tuple[str, ...] = ()
    parts: dict[str, Inner] = Field(default_factory=dict)
    colour: Colour = Colour.RED
    mode: Literal["fast", "slow"] = "slow"
    inner: Inner = Inner()
    mixed: str | list[str] = "x"


def checked(params: Any, model: type[BaseModel] = Model) -> Any:
    return dg.validate_run_config(job_of(model), {"ops": {"one": {"config": {"params": params}}}})


def job_of(model: type[BaseModel]) -> dg.JobDefinition:
    @dg.op(config_schema={"params": params_field(model)})
    def one() -> None:
        pass

    @dg.job
    def job() -> None:
        one()

    return job


FULL = {
    "name": "a",
    "count": None,
    "tags": ["x"],
    "parts": {"p": {"size": 1}},
    "colour": "blue",
    "mode": "fast",
    "inner": {"size": 4},
    "mixed": ["y"],
}


def test_every_kind_of_field_is_accepted():
    accepted = checked(FULL)["ops"]["one"]["config"]["params"]
    assert accepted == FULL


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": "many"},
        {"tags": "x"},
        {"parts": {"p": {"size": "big"}}},
        {"colour": "green"},
        {"mode": "quick"},
        {"unknown": 1},
    ],
)
def test_a_wrong_type_or_name_is_refused_in_the_launchpad(wrong: dict[str, Any]):
    with pytest.raises(dg.DagsterInvalidConfigError):
        checked(FULL | wrong)


def test_a_required_parameter_must_be_there_when_there_are_any():
    with pytest.raises(dg.DagsterInvalidConfigError, match="name"):
        checked({"count": 1})


def test_all_parameters_may_be_left_out():
    assert dg.validate_run_config(job_of(Model), {})["ops"]["one"]["config"] == {}


def test_descriptions_reach_the_launchpad():
    config_type = params_field(Model).config_type
    assert isinstance(config_type, dg.Shape)
    assert config_type.fields["name"].description == "Begins with a."


@pytest.mark.parametrize("kind", sorted(registry.actions()))
def test_the_example_of_every_action_is_a_valid_run_config(kind: str):
    action = registry.action(kind)
    assert checked(dict(action.example), action.config)
