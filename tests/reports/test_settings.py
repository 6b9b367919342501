"""Settings of one task share seeds and examples: their mean is no surer than its seeds make it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.analysis.grid import Table
from harness.reports.analysis.model import Column
from harness.reports.analysis.pairs import column_test
from harness.reports.analysis.scale import weighted
from harness.reports.analysis.settings import averaged, mean_of
from harness.reports.html import render_page
from harness.reports.statistics import paired_t
from harness.reports.synthetic import Plan, synthetic_results
from scipy import stats

from harness.results import Results

FAST = Options(n_resamples=300)
COLUMN = Column(
    key="t", label="t", task="t", context={}, metric="accuracy", higher_is_better=True, floor=0.0, ceiling=1.0, task_version=1, n_examples=None,
    templates=(), clustered=False, tags=(), decomposable=False,
)  # fmt: skip


def table(runs: np.ndarray, **fields: object) -> Table:
    n = len(runs)
    plain = Table(
        index=np.arange(n), seeds=tuple(range(n)), runs=np.asarray(runs), complete=np.asarray(runs), statuses=("ok",) * n,
        digests=tuple(f"rows {i}" for i in range(n)), values=None, by_template={}, summary=None,
    )  # fmt: skip
    return replace(plain, **fields)


def on_backbones(n: int, *, shared: bool) -> Results:
    """Three tasks on n backbones; `shared`: every backbone repeats the first one's runs and answers."""
    one = synthetic_results(Plan(methods=3, tasks=3, seeds=4, examples=60, failure_rate=0.0))
    frames, scores = [], {}
    for i in range(n):
        made = one if shared or i == 0 else synthetic_results(Plan(methods=3, tasks=3, seeds=4, examples=60, failure_rate=0.0, root=i))
        frame = made.trials.assign(backbone=f"b{i}", block=made.trials["block"].str.replace("made-up", f"b{i}"))
        for name in ("trial_id", "run_key"):
            frame[name] = f"b{i}." + frame[name]
        frames.append(frame)
        for task, found in made.scores.items():
            ids = tuple(f"b{i}.{name}" for name in found.trial_ids)
            before = scores.get(task)
            scores[task] = replace(
                found, trial_ids=ids if before is None else (*before.trial_ids, *ids),
                values=found.values if before is None else np.concatenate([before.values, found.values]),
            )  # fmt: skip
    return Results(pd.concat(frames, ignore_index=True), scores)


@pytest.mark.parametrize("examples", [True, False])
def test_the_same_runs_under_three_names_are_no_more_evidence(examples: bool) -> None:
    one, three = on_backbones(1, shared=True), on_backbones(3, shared=True)
    if not examples:
        one, three = Results(one.trials), Results(three.trials)
    found = [analyse(results, FAST).families[0] for results in (one, three)]
    assert [len(family.columns) for family in found] == [3, 9]
    for before, after in zip(*(family.standings for family in found)):
        assert after.score.estimate == pytest.approx(before.score.estimate) and after.score.se == pytest.approx(before.score.se)
        assert after.place == before.place
    for before, after in zip(*(family.pairs for family in found)):
        assert after.here.estimate == pytest.approx(before.here.estimate) and after.here.pvalue == pytest.approx(before.here.pvalue)
    for before, after in zip(*(family.strengths for family in found)):
        assert after.beats.interval == pytest.approx(before.beats.interval)
    assert any("Settings of one task are averaged" in note for note in found[1].notes) and not any("Settings" in n for n in found[0].notes)
    assert "Settings of one task are averaged" in render_page(analyse(three, FAST))


def test_the_difference_is_the_paired_t_of_the_seeds_means() -> None:
    results = on_backbones(2, shared=False)
    trials = results.trials[results.trials["task"] == "task-00"]
    family = analyse(Results(trials), FAST).families[0]
    by_seed = trials.assign(score=trials["score"].astype(float)).groupby(["arm", "seed"])["score"].mean().unstack()
    for pair in family.pairs:
        expected = paired_t(by_seed.loc[pair.a], by_seed.loc[pair.b])
        assert pair.here.se == pytest.approx(expected.se) and pair.here.pvalue == pytest.approx(expected.pvalue)


def test_level_where_settings_share_the_seeds_draw() -> None:
    """Two equal arms on 8 backbones of one task, 5 seeds; the draw of rows moves all backbones alike. Once as it is, once as if independent."""
    rng = np.random.default_rng(0)
    wrong, n = [0, 0], 400
    for _ in range(n):
        luck = rng.normal(0, 0.03, (2, 1, 5))
        runs = 0.7 + luck + rng.normal(0, 0.02, (2, 8, 5))
        arms = [[table(row) for row in arm] for arm in runs]
        one = column_test(averaged(arms[0]), averaged(arms[1]), COLUMN, None, 0.95)
        parts = [column_test(a, b, COLUMN, None, 0.95) for a, b in zip(*arms)]
        each = weighted(parts, [1 / 8] * 8, level=0.95, what="", test=True)
        wrong[0] += one.pvalue <= 0.05
        wrong[1] += each.pvalue <= 0.05
    assert wrong[0] / n <= stats.binom.ppf(0.999, n, 0.05) / n
    assert wrong[1] / n > 0.25  # what it is there to avoid


def test_summaries_of_one_task_are_combined_as_if_they_shared_everything() -> None:
    parts = [
        table(np.array([m]), seeds=(0,), statuses=("ok",), digests=("",), summary=(m, sd, n, "seeds"))
        for m, sd, n in ((0.6, 0.02, 4), (0.8, 0.06, 9))
    ]
    found = averaged(parts).summary
    assert found is not None and found[0] == pytest.approx(0.7) and found[2] == 4 and found[3] == "seeds"
    assert found[1] / 2 == pytest.approx((0.01 + 0.02) / 2)
    assert mean_of(averaged(parts), None, 0.95).se == pytest.approx(0.015)
    unknown = averaged([parts[0], replace(parts[1], summary=(0.8, None, None, None))]).summary
    assert unknown is not None and unknown[1] is None and unknown[3] is None


def test_settings_with_other_seeds_are_combined_as_summaries() -> None:
    found = averaged([table(np.array([0.5, 0.6, 0.7])), table(np.array([0.6, 0.8]), seeds=(5, 6), statuses=("ok",) * 2, digests=("",) * 2)])
    assert found.summary is not None and found.summary[:1] == pytest.approx((0.65,)) and found.summary[2] == 2
    assert found.summary[1] / 2**0.5 == pytest.approx((0.1 / 3**0.5 + np.std([0.6, 0.8], ddof=1) / 2**0.5) / 2)


def test_a_seed_is_paired_only_where_all_settings_drew_the_same() -> None:
    a = [table(np.array([0.5, 0.6])), table(np.array([0.5, 0.7]))]
    b = [table(np.array([0.4, 0.6])), replace(table(np.array([0.5, 0.8])), digests=("rows 0", "other"))]
    assert averaged(a).digests == ("rows 0+rows 0", "rows 1+rows 1") and averaged(b).digests == ("rows 0+rows 0", "rows 1+other")
    assert averaged([a[0], replace(a[1], digests=("", "*"))]).digests == ("", "*")
