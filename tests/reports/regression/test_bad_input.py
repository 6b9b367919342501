"""Bad input gives one clear line, never a traceback and never a number that looks fine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.regression.compare import compare
from harness.reports.regression.sides import load_side

from harness.errors import InputError
from harness.results import TRIAL_COLUMNS, Results, TaskScores


def test_empty_results():
    empty = Results(pd.DataFrame(columns=list(TRIAL_COLUMNS)))
    with pytest.raises(InputError, match=r"^baseline: holds no finished trial; run the suite first$"):
        compare(empty, empty)
    with pytest.raises(InputError, match="holds no finished trial"):
        compare(Results(pd.DataFrame()), empty)


def test_results_without_what_is_needed():
    with pytest.raises(InputError, match="results without trial_id, arm"):
        compare(Results(pd.DataFrame({"task": ["a"], "score": [0.5]})), Results(pd.DataFrame()))


def test_one_trial_is_inconclusive_and_its_interval_is_labelled(run_suite):
    one = {"arms": ("lora",), "tasks": ("rte",), "seeds": (0,)}
    found = compare(run_suite(1, **one), run_suite(2, **one, shift=-3.0), gate="noninferiority")
    [cell] = found.cells
    assert cell.verdict == "inconclusive" and cell.p_adjusted is None and found.exit_code == 3
    assert cell.test is not None and cell.test.generalise_over == "examples"
    assert cell.reason == "one seed: seed variance unknown" and "at least 2 seeds" in str(cell.needed)
    assert found.family_size == 0


def test_one_trial_without_examples_has_no_interval(run_suite):
    one = {"arms": ("lora",), "tasks": ("rte",), "seeds": (0,)}
    found = compare(replace(run_suite(1, **one), scores={}), replace(run_suite(2, **one), scores={}))
    assert found.cells[0].verdict == "inconclusive" and found.cells[0].interval == (None, None)


def test_no_shared_cells(run_suite):
    with pytest.raises(InputError, match="no cell in common: the baseline has lora on rte, the current results have bitfit on sst2"):
        compare(run_suite(1, arms=("lora",), tasks=("rte",)), run_suite(1, arms=("bitfit",), tasks=("sst2",)))


def test_nan_scores_break_a_cell(run_suite):
    current = run_suite(1)
    current.trials.loc[current.trials["arm"] == "lora", "score"] = np.nan
    found = compare(run_suite(1), current)
    lora = [cell for cell in found.cells if cell.arm == "lora"]
    assert {cell.verdict for cell in lora} == {"broken"} and all("the score is NaN or missing" in cell.reason for cell in lora)
    assert all(cell.current_mean is None and cell.estimate is None for cell in lora) and found.exit_code == 4


def test_nan_in_examples_is_left_out_on_both_sides_and_counted(run_suite):
    baseline, current = run_suite(1), run_suite(1)
    values = current.scores["rte"].values.copy()
    values[:, 7] = np.nan
    trials = current.trials.copy()
    trials.loc[trials["task"] == "rte", "score"] = np.nanmean(values[..., 0], axis=1)
    current = replace(current, trials=trials, scores={**current.scores, "rte": replace(current.scores["rte"], values=values)})
    cell = next(cell for cell in compare(baseline, current).cells if cell.label == "lora · rte")
    assert cell.estimate == 0 and "199 of 200 test examples" in " ".join(cell.notes)


def test_scores_that_their_examples_do_not_give_are_not_tested_over_examples(run_suite):
    current = run_suite(1)
    current.trials["score"] = current.trials["score"].astype(float) + 0.1
    cell = compare(run_suite(1), current).cells[0]
    assert cell.test is not None and cell.test.generalise_over == "seeds"


def test_duplicate_cells(run_suite):
    twice = run_suite(1)
    twice = replace(twice, trials=pd.concat([twice.trials, twice.trials.assign(run_key="other")]))
    with pytest.raises(InputError, match=r"current: 2 results for lora on sst2, seed 0 \(40 such rows in all\)"):
        compare(run_suite(1), twice)
    same = run_suite(1)
    with pytest.raises(InputError, match="2 results for"):
        compare(replace(same, trials=pd.concat([same.trials, same.trials])), run_suite(1))


def test_one_trial_in_two_suites_is_one_result(run_suite):
    both = run_suite(1)
    both = replace(both, trials=pd.concat([both.trials, both.trials.assign(suite="other")]))
    found = compare(both, run_suite(1))
    assert len(found.cells) == 4 and {cell.n_baseline for cell in found.cells} == {5}


def test_one_name_for_two_questions_in_two_suites_is_two_cells(run_suite):
    one = run_suite(1)
    other = one.trials.assign(suite="other", trial_id=[f"other.{name}" for name in one.trials["trial_id"]])
    both = replace(one, trials=pd.concat([one.trials, other]))
    found = compare(both, both)
    assert {cell.block.rpartition(" ")[2] for cell in found.cells} == {"suite=guard", "suite=other"}
    assert len({cell.label for cell in found.cells}) == len(found.cells) == 8


def test_mixed_task_versions_in_one_store(run_suite):
    mixed = run_suite(1, change=lambda row: row.update(task_version=1 + row["seed"] % 2))
    with pytest.raises(InputError, match="lora on sst2 mixes task versions 1, 2"):
        compare(run_suite(1), mixed)


def test_unsupported_cells_are_no_failure_but_losing_support_is(run_suite, fail):
    unsupported = fail(run_suite(1), "lora", "rte", range(5), status="unsupported")
    assert len(compare(unsupported, unsupported).cells) == 3
    lost = compare(run_suite(1), unsupported)
    assert next(c for c in lost.cells if c.label == "lora · rte").reason == "no run succeeds any more: unsupported"
    gained = compare(unsupported, run_suite(1))
    assert next(c for c in gained.cells if c.label == "lora · rte").verdict == "fixed"


def test_constant_loss_without_examples_is_not_called_certain(run_suite):
    """A deterministic method scored 3 times is still one measurement of the test set."""
    baseline, current = (
        replace(run_suite(1, seeds=(0, 1, 2)), scores={}, trials=run_suite(1, seeds=(0, 1, 2)).trials.assign(score=score))
        for score in (0.8, 0.7)
    )
    cell = compare(baseline, current).cells[0]
    assert cell.verdict == "inconclusive" and cell.test is not None and cell.test.pvalue == 2**-3


def test_clusters_widen_the_interval(run_suite):
    def clustered(results: Results) -> Results:
        scores = {task: replace(s, clusters=tuple(f"c{i // 40}" for i in range(200))) for task, s in results.scores.items()}
        return replace(results, scores=scores)

    baseline, current = run_suite(1), run_suite(2)
    plain, wide = compare(baseline, current), compare(clustered(baseline), clustered(current))
    assert all(cell.test is not None and cell.test.se is not None for cell in wide.cells)
    assert [cell.test.se for cell in plain.cells if cell.test] != [cell.test.se for cell in wide.cells if cell.test]


def test_one_cluster_is_inconclusive(run_suite):
    def clustered(results: Results) -> Results:
        return replace(results, scores={task: replace(s, clusters=("one",) * 200) for task, s in results.scores.items()})

    found = compare(clustered(run_suite(1)), clustered(run_suite(2, shift=-2.0)))
    assert {(cell.verdict, cell.reason) for cell in found.cells} == {("inconclusive", "fewer than two clusters")}


def test_empty_example_table_falls_back_to_scores(run_suite):
    results = run_suite(1)
    empty = TaskScores("rte", "accuracy", (), None, results.scores["rte"].trial_ids, np.zeros((10, 0, 2)))
    found = compare(replace(results, scores={"rte": empty}), replace(results, scores={"rte": empty}))
    assert {cell.verdict for cell in found.cells} == {"equivalent"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "no such file or folder"),
        ("@main", "no baseline @main; none is blessed"),
        ("@../main", "no baseline @../main"),
        ("file.json", "is no blessed baseline"),
        ("folder", "is no results store"),
    ],
)
def test_sides_that_are_none(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=words):
        load_side(text, store=tmp_path)
