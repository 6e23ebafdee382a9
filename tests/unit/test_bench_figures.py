"""The load benchmarks' own arithmetic: what a figure is, and what executions and processes add up to."""

from __future__ import annotations

from uuid import uuid4

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.figures import Figure, Result, at_least, at_most, latencies, markdown, percentile, shown
from benchmarks.load.ground import ACTIONS, SOURCE, manifests, stock_configuration
from benchmarks.load.outside import World
from benchmarks.load.programs import Program, numbers
from benchmarks.load.tree import ENDED, Process, Sample, role_of, spent
from benchmarks.load.workload import Outcome, executions_of

TIMES = st.lists(st.floats(0, 1000), min_size=1)


@given(TIMES, st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], percent: int):
    found = percentile(values, percent)
    assert found in values
    within = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert within * 100 >= percent * len(values) > below * 100


def test_nothing_has_no_percentile():
    assert percentile([], 50) is None
    assert [figure.value for figure in latencies([])] == [None, None, None]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (200.0, "200"), (43.26, "43.3"), (0.0331, "0.0331"), (1234.5, "1234"), (0.00002, "0.0000")],
)
def test_a_number_is_shown_with_the_digits_that_count(value: float, words: str):
    assert shown(value) == words


def test_the_table_says_of_each_goal_whether_it_is_met():
    figures = (
        Figure("rate", 41.2, "/s", at_least(40)),
        Figure("latency", 3.5, "s", at_most(3)),
        Figure("memory", None, "MB", at_most(900), "not within 120 s"),
    )
    assert markdown([Result("burst", figures)]).splitlines()[2:] == [
        "| burst | rate | 41.2 /s | at least 40: met |",
        "| burst | latency | 3.50 s | at most 3: MISSED |",
        "| burst | memory | not within 120 s | at most 900: MISSED |",
    ]


def test_only_a_promise_that_is_not_kept_is_a_breach():
    assert Figure("actions lost", 1, goal=at_most(0), is_promise=True).is_breach
    assert not Figure("actions lost", 0, goal=at_most(0), is_promise=True).is_breach
    assert not Figure("rate", 1, goal=at_least(40)).is_breach


def outcome(changes: int, *executions: tuple[float, float | None, list[tuple[float, str, str]]]) -> Outcome:
    """Executions of (committed, closed, arrivals of (time, key, action))."""
    rows, arrivals = [], []
    for committed_at, completed_at, posts in executions:
        name = str(uuid4())
        rows.append((name, "completed", committed_at, completed_at))
        arrivals += [(at, key, name, action) for at, key, action in posts]
    return Outcome(changes, executions_of(rows, arrivals), 0, {"daemon": 3.0, "PostgreSQL": 1.0}, 0.5)


def whole(at: float) -> list[tuple[float, str, str]]:
    """The three posts of one execution, the last one at that time."""
    return [(at - 2 + place, f"{at}-{action}", action) for place, action in enumerate(ACTIONS)]


def test_the_rate_counts_from_the_first_commit_until_the_last_one_is_closed():
    found = outcome(2, (100.0, 104.0, whole(103.0)), (101.0, 110.0, whole(109.0)))
    assert found.per_second == pytest.approx(0.2)
    assert found.cpu_seconds_each == pytest.approx(2.0)
    assert found.latencies == pytest.approx([3.0, 8.0])
    assert (found.lost, found.doubled) == (0, 0)


def test_an_action_that_did_not_arrive_is_lost_and_so_are_all_of_a_change_without_an_execution():
    found = outcome(2, (100.0, None, whole(103.0)[:2]))
    assert found.lost == 1 + len(ACTIONS)
    assert found.per_second is None


def test_an_action_that_arrived_under_two_keys_is_doubled_and_a_repeat_of_one_key_is_not():
    repeated = [*whole(103.0), (104.0, "103.0-third", "third")]
    assert outcome(1, (100.0, 105.0, repeated)).doubled == 0
    assert outcome(1, (100.0, 105.0, [*whole(103.0), (104.0, "another", "third")])).doubled == 1


def test_a_second_execution_of_one_change_is_doubled():
    assert outcome(1, (100.0, 105.0, whole(103.0)), (100.0, 105.0, whole(104.0))).doubled == 1


def test_a_repeat_does_not_make_an_action_later():
    assert outcome(1, (100.0, 105.0, [*whole(103.0), (109.0, "103.0-third", "third")])).latencies == [3.0]


def process(pid: int, role: str, own: float, waited: float = 0.0) -> Process:
    return Process(pid, 1, 0, role, own, waited)


def sample(*processes: Process, waited: float = 0.0) -> Sample:
    return Sample({one.key: one for one in processes}, waited)


def test_what_a_process_used_before_it_ended_is_counted_once():
    before = sample(process(1, "daemon", 10.0), process(2, "worker", 5.0))
    after = sample(process(1, "daemon", 11.0, waited=7.5), process(3, "worker", 0.5))
    assert spent(before, after) == pytest.approx({"daemon": 1.0, "worker": 0.5, ENDED: 2.5})


def test_an_orphan_that_this_process_has_waited_for_is_counted_too():
    assert spent(sample(process(1, "run", 1.0)), sample(waited=4.0)) == pytest.approx({ENDED: 3.0})


def test_a_process_id_that_was_given_again_is_another_process():
    before = sample(Process(7, 100, 0, "run", 5.0, 0.0))
    after = sample(Process(7, 900, 0, "run", 1.0, 0.0), waited=5.0)
    assert spent(before, after) == pytest.approx({"run": 1.0, ENDED: 0.0})


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python\0-m\0dct_pipelines.cli.main\0up\0--json\0", "supervisor"),
        ("python\0-m\0dct_pipelines.instance.daemon\0--workspace\0w.yaml\0", "daemon"),
        ("python\0-m\0dagster\0api\0grpc\0--socket\0/a\0", "code server"),
        ("python\0-m\0dagster\0code-server\0start\0", "code server's door"),
        ("postgres: dct dct [local] idle", "PostgreSQL"),
        ("/somewhere/bin/postgres\0-D\0/data\0", "PostgreSQL"),
        ("python\0-m\0some.module\0", "some.module"),
        ("/usr/bin/git\0fetch\0", "git"),
        ("", "nameless"),
    ],
)
def test_a_process_is_called_by_what_it_does(command: str, role: str):
    assert role_of(command, is_fork=False) == role


def test_a_fork_is_told_apart_from_the_process_that_it_came_from():
    assert role_of("python\0-m\0dct_pipelines.instance.warm\0", is_fork=True) == "warm pool's forks"
    assert role_of("postgres: checkpointer", is_fork=True) == "PostgreSQL"


def test_items_change_in_a_round_and_each_change_has_a_place_of_its_own():
    world = World(items=3, statuses=2)
    world.change(4)
    assert [change[:3] for change in world.answer("/changes", 0)["changes"]] == [
        (1, "item-1", "s1"),
        (2, "item-2", "s0"),
        (3, "item-0", "s0"),
    ]


def test_the_sink_knows_a_key_that_it_has_and_counts_the_repeat():
    world = World(items=1, statuses=1)
    assert [world.take(key, b"{}") for key in ("a", "b", "a")] == [True, True, False]
    assert world.answer("/counts", 0) == {"reads": 0, "posts": 3, "keys": 2}


def test_every_trigger_fires_on_a_status_of_its_own_and_posts_three_times():
    triggers = [one for one in manifests("http://127.0.0.1:1", 3) if one["kind"] == "trigger"]
    assert [one["conditions"][0]["config"]["to_status"] for one in triggers] == ["s0", "s1", "s2"]
    assert [action["name"] for action in triggers[0]["actions"]] == list(ACTIONS)


def test_the_stock_configuration_has_nothing_of_our_launcher_and_queue():
    found = yaml.safe_load(stock_configuration((SOURCE / "dagster.yaml").read_text()))
    assert "run_launcher" not in found
    assert found["run_coordinator"]["module"].startswith("dagster.")
    assert found["storage"] == yaml.safe_load((SOURCE / "dagster.yaml").read_text())["storage"]


def test_every_number_of_what_a_program_printed_is_found_by_its_path():
    printed = {"idle": {"p50": 0.2, "is_fine": True}, "rates": [1, 2], "machine": "of words"}
    assert dict(numbers(printed)) == {"idle.p50": 0.2, "rates[0]": 1.0, "rates[1]": 2.0}


def test_a_program_that_fails_is_in_the_table_with_its_last_words():
    result = Program("load.outside", ("--items", "none")).run()
    assert result.figures[0].value is None
    assert "failed: " in result.figures[0].why
    assert "invalid int value: 'none'" in result.figures[0].why
