"""Names of jobs and of their steps."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines import registry
from dct_pipelines.domain.shapes import (
    CLAIM,
    CLOSE,
    EXAMPLE_SHAPES,
    MAX_JOB_NAME,
    built_in,
    job_name,
    step_names,
)

SHAPES = st.lists(st.sampled_from(sorted(registry.actions())), min_size=1, max_size=20).map(tuple)


def test_a_job_is_named_from_its_actions_in_words():
    shape = ("merge_branches", "deploy_environment", "create_workspace")
    assert job_name(shape) == "merge_branches__deploy_environment__create_workspace"


def test_a_repeated_action_gets_a_number():
    shape = ("merge_branches", "run_tests", "merge_branches")
    assert step_names(shape) == ("merge_branches", "run_tests", "merge_branches_2")
    assert job_name(shape) == "merge_branches__run_tests__merge_branches_2"


def test_a_long_name_is_cut_and_ends_with_a_digest():
    long, other = ("merge_branches",) * 19, ("merge_branches",) * 20
    assert len(job_name(long)) <= MAX_JOB_NAME
    assert re.fullmatch(r"merge_branches__.*_[0-9a-f]{8}", job_name(long))
    assert job_name(long) != job_name(other)


@given(SHAPES, SHAPES)
def test_different_shapes_have_different_jobs_with_names_that_dagster_takes(one, other):
    assert re.fullmatch(r"[a-z0-9_]{1,100}", job_name(one))
    assert (job_name(one) == job_name(other)) == (one == other)


@given(SHAPES)
def test_every_step_of_a_shape_has_a_name_of_its_own(shape):
    names = step_names(shape)
    assert len(set(names)) == len(shape)
    assert not {CLAIM, CLOSE} & set(names)


def test_single_actions_and_the_shapes_of_the_examples_are_built_in():
    shapes = built_in(registry.actions())
    assert set(shapes) == {(kind,) for kind in registry.actions()} | set(EXAMPLE_SHAPES)


def test_an_example_whose_action_is_missing_is_left_out():
    assert built_in(["notify_users", "run_tests"]) == (
        ("notify_users",),
        ("run_tests",),
        ("run_tests", "notify_users"),
    )
