"""Exit codes, gates, margins and costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from harness.reports.regression.compare import compare
from harness.reports.regression.costs import CostRule, is_different
from harness.reports.regression.gates import exit_code
from harness.reports.regression.margins import Margins, parse_margin
from harness.reports.regression.settings import read_settings

from harness.errors import InputError


@pytest.mark.parametrize(
    ("codes", "first"), [([], 0), ([0, 3], 3), ([3, 1], 1), ([1, 5, 3], 5), ([5, 4, 1], 4), ([4, 2, 5], 2), ([0, 0], 0)]
)
def test_priorities(codes, first):
    assert exit_code(codes) == first


def test_priorities_end_to_end(run_suite, fail):
    """One run with a regression, an inconclusive cell, a changed task version and a break: taken away one by one."""
    arms, tasks = ("a", "b", "c", "d"), ("rte",)
    baseline = run_suite(1, arms=arms, tasks=tasks)

    def current(*, version: bool, broken: bool, loss: bool):
        def change(row):
            if row["arm"] == "a" and version:
                row["task_version"] = 2

        found = run_suite(2, arms=arms, tasks=tasks, change=change, shift={("c", "rte"): -2.0} if loss else 0.0)
        return fail(found, "b", "rte", range(5)) if broken else found

    def code(**what: bool) -> int:
        return compare(baseline, current(**what), margins={"*": 0.001}, gate="noninferiority").exit_code

    assert code(version=True, broken=True, loss=True) == 4
    assert code(version=True, broken=False, loss=True) == 5
    assert code(version=False, broken=False, loss=True) == 1
    assert code(version=False, broken=False, loss=False) == 3


def test_unknown_gate_and_alpha(run_suite):
    with pytest.raises(InputError, match="unknown gate 'regresion'; did you mean regression"):
        compare(run_suite(1), run_suite(1), gate="regresion")
    with pytest.raises(InputError, match="alpha"):
        compare(run_suite(1), run_suite(1), alpha=0.7)


def test_default_margin_is_half_a_point_or_half_a_seed_sd():
    of = Margins().of
    assert of(arm="a", task="t", metric="accuracy", seed_sd=0.002, ceiling=1.0) == 0.005
    assert of(arm="a", task="t", metric="accuracy", seed_sd=0.04, ceiling=1.0) == 0.02
    assert of(arm="a", task="t", metric="bleu", seed_sd=None, ceiling=100.0) == 0.5
    assert of(arm="a", task="t", metric="nll", seed_sd=None, ceiling=None) == 0.005


def test_the_last_matching_glob_counts_and_unused_ones_are_named(run_suite):
    margins = Margins({"*": 0.1, "rte/*": 0.2, "lora/rte/accuracy": 0.3})
    assert [
        margins.of(arm=a, task=t, metric="accuracy", seed_sd=1.0, ceiling=1.0) for a, t in (("x", "y"), ("x", "rte"), ("lora", "rte"))
    ] == [
        0.1,
        0.2,
        0.3,
    ]
    found = compare(run_suite(1), run_suite(1), margins={"acuracy": 0.1}, gating=["*", "sst3/*"])
    assert found.warnings == ("margin 'acuracy' matches no cell", "gating pattern 'sst3/*' matches no cell")


@pytest.mark.parametrize("text", ["accuracy", "=0.1", "accuracy=much", "accuracy="])
def test_margins_of_the_command_line(text):
    with pytest.raises(InputError, match="write GLOB=NUMBER"):
        parse_margin(text)


@pytest.mark.parametrize("margin", [0, -0.1, float("nan"), float("inf"), True, "x"])
def test_margins_are_positive_numbers(margin):
    with pytest.raises(InputError, match="a number above 0"):
        Margins({"*": margin})


def test_settings_file(tmp_path):
    file = tmp_path / "compare.toml"
    file.write_text(
        '[compare]\ngate = "strict"\nalpha = 0.01\ngating = ["lora/*"]\nmargin_points = 0.01\n[compare.margins]\n"sst2/*" = 0.02\n'
    )
    found = read_settings(file)
    assert (found.gate, found.alpha, found.gating, found.margins.points, dict(found.margins.by_glob)) == (
        "strict", 0.01, ("lora/*",), 0.01, {"sst2/*": 0.02},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[compare]\ngat = "strict"', "unknown key of .compare. 'gat'; did you mean gate"),
        ('[compare]\ngate = "loose"', "unknown gate 'loose'"),
        ("[compare]\nalpha = true", "True does not fit"),
        ("[compare]\ngating = [1]", "a list of globs"),
        ("[other]\n", "no .compare. table"),
        ("[compare", "is no TOML"),
    ],
)
def test_settings_errors_are_one_line(tmp_path, text, words):
    file = tmp_path / "compare.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_settings(file)


def slower(run_suite, factor: float, seeds: int):
    return run_suite(1, seeds=range(seeds), change=lambda row: row.update(seconds_train=row["seconds_train"] * factor))


def test_costs_are_ratios_with_factor_floor_and_test(run_suite):
    baseline = run_suite(1, seeds=range(8))
    found = compare(baseline, slower(run_suite, 1.5, 8))
    train = [change for change in found.costs if change.cost == "seconds_train"]
    assert {change.verdict for change in train} == {"dearer"} and all(change.ratio == pytest.approx(1.5) for change in train)
    assert {change.how for change in train} == {"Mann-Whitney"} and found.exit_code == 0
    assert compare(baseline, slower(run_suite, 1.5, 8), gate_costs=True).exit_code == 1
    assert {c.verdict for c in compare(baseline, slower(run_suite, 1.04, 8)).costs} == {"same"}  # under the factor
    relaxed = compare(baseline, slower(run_suite, 1.5, 8), cost_rule=CostRule(factor=2.0))
    assert {c.verdict for c in relaxed.costs} == {"same"}


def test_five_seeds_cannot_reach_the_threshold_and_use_intervals(run_suite):
    found = compare(run_suite(1), slower(run_suite, 1.5, 5))
    assert {c.how for c in found.costs if c.cost == "seconds_train"} == {"99 % intervals"}
    assert {c.verdict for c in found.costs if c.cost == "seconds_train"} == {"dearer"}


def test_one_run_says_nothing_about_time_but_counts_do_not_vary(run_suite):
    change = {"seconds_train": 30.0, "tokens": 9000}
    found = compare(run_suite(1, seeds=(0,)), run_suite(1, seeds=(0,), change=lambda row: row.update(change)))
    assert {c.verdict for c in found.costs if c.cost == "seconds_train"} == {"unclear"}
    assert {c.verdict for c in found.costs if c.cost == "tokens"} == {"dearer"}


def test_small_absolute_changes_are_nothing(run_suite):
    short, long = ({"seconds_evaluate": seconds} for seconds in (0.01, 0.2))
    found = compare(run_suite(1, change=lambda row: row.update(short)), run_suite(1, change=lambda row: row.update(long)))
    assert {c.verdict for c in found.costs if c.cost == "seconds_evaluate"} == {"same"}


def test_equal_costs_are_called_different_rarely():
    rng = np.random.default_rng(0)
    for n in (5, 8):
        alarms = sum(bool(is_different(*np.exp(rng.normal(0, 0.2, (2, n))))[0]) for _ in range(2000))
        assert alarms <= 12  # nominal .002 or less: 4 of 2000, and the 99.9 % binomial bound


def test_costs_of_incomparable_cells_are_not_compared(run_suite):
    found = compare(run_suite(1), run_suite(1, change=lambda row: row.update(task_version=2)))
    assert found.costs == ()


def test_exact_mode(run_suite):
    baseline, other = run_suite(1, records=True), run_suite(1, records=True)
    loader = other.record_loader

    def flipped(trial):
        records = loader(trial).copy()
        if trial == "lora.rte.2":
            records.loc[[4, 9], "prediction"] = "maybe"  # wrong answers that became other wrong ones change no score
        return records

    current = replace(other, record_loader=flipped)
    lenient, exact = compare(baseline, current), compare(baseline, current, exact=True)
    cell = next(cell for cell in exact.cells if cell.label == "lora · rte")
    assert cell.verdict == "equivalent" and cell.flips is not None
    assert (cell.flips.changed, cell.flips.compared, cell.flips.seeds_changed, cell.flips.source) == (2, 1000, 1, "predictions")
    assert (lenient.exit_code, exact.exit_code) == (0, 1)
    assert compare(baseline, run_suite(1, records=True), exact=True).exit_code == 0


def test_exact_mode_counts_score_flips_where_the_mean_is_equal(run_suite):
    baseline, current = run_suite(1), run_suite(1)
    values = current.scores["rte"].values.copy()
    right, wrong = np.flatnonzero(values[0, :, 0] == 1)[0], np.flatnonzero(values[0, :, 0] == 0)[0]
    values[0, [right, wrong], 0] = [0, 1]
    current = replace(current, scores={**current.scores, "rte": replace(current.scores["rte"], values=values)})
    found = compare(baseline, current, exact=True)
    cell = next(cell for cell in found.cells if cell.label == "lora · rte")
    assert cell.flips is not None and (cell.flips.changed, cell.flips.source) == (2, "scores") and cell.estimate == 0
    assert found.exit_code == 1


def test_exact_mode_without_examples_is_incomparable(run_suite):
    bare = replace(run_suite(1), scores={})
    assert compare(bare, bare, exact=True).exit_code == 5
