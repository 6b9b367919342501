"""Selections and probes in suites: planning, labels, blocks, identities, and what a trial keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.errors import InputError
from harness.trial import Trial

SELECTIONS = ["none", {"name": "rs2", "ratio": 0.5}, {"name": "static-random", "ratio": 0.5, "label": "half"}]


def test_selections_are_a_factor_and_may_be_the_arms(suite_file: Callable[..., Path]) -> None:
    suite = suite_file(methods=["bitfit", "knn"], arms=["selection"], selections=SELECTIONS, seeds=1)
    cells = api.plan(suite, device="cpu").cells
    assert [cell.arm for cell in cells] == ["none", "rs2 ratio=0.5", "half"] * 2
    assert len({cell.block for cell in cells}) == 2, "one block a method: selections are compared within it"
    by = {(cell.trial.method, cell.arm): cell for cell in cells}
    assert by["bitfit", "none"].trial.selection is None
    assert by["bitfit", "half"].trial.selection["config"]["ratio"] == 0.5 and "lazy" in by["bitfit", "half"].trial.selection["config"]
    assert by["knn", "none"].unsupported is None and "trains in no rounds" in str(by["knn", "half"].unsupported)
    methods = api.plan(suite_file("two", methods=["bitfit"], selections=SELECTIONS, seeds=1), device="cpu").cells
    assert {cell.arm for cell in methods} == {"bitfit"} and len({cell.block for cell in methods}) == 3


def test_a_suite_without_selections_is_what_it_was(suite_file: Callable[..., Path]) -> None:
    (plain,) = api.plan(suite_file(methods=["bitfit"], seeds=1), device="cpu").cells
    (none,) = api.plan(suite_file("none", methods=["bitfit"], selections="none", seeds=1), device="cpu").cells
    assert (plain.block, plain.trial.trial_id, plain.run_key) == (none.block, none.trial.trial_id, none.run_key)
    assert "selection" not in plain.block


@pytest.mark.parametrize(
    ("selections", "words"),
    [
        (["rs3"], "rs3"),
        ([{"name": "rs2", "ratio": 2}], "out of range"),
        ([{"name": "rs2", "rato": 0.1}], "rato"),
        (["rs2", "rs2"], "two of them"),
        ([{"name": "none", "ratio": 0.1}], "none has no settings"),
    ],
)
def test_a_wrong_selection_is_one_clear_error(suite_file: Callable[..., Path], selections: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        api.plan(suite_file(methods=["bitfit"], selections=selections), device="cpu")
    assert "selections" in str(caught.value)


def test_a_trial_with_a_selection_runs_and_its_curve_has_flops(
    suite_file: Callable[..., Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    config = {"batch_size": 2}
    suite = suite_file(
        methods=[{"name": "bitfit", "config": config}], selections=SELECTIONS, arms=["selection"], dev=2, seeds=1, budget={"epochs": 2}
    )
    session = run(suite)
    assert [done.status for done in session.outcomes.values()] == ["ok"] * 3, [done.reason for done in session.outcomes.values()]
    results = api.load_results(tmp_path / "store")
    trials = results.trials.set_index("arm")
    assert set(trials["selection"].dropna()) == {"rs2", "static-random"} and trials.loc["none", "flops"] > trials.loc["half", "flops"]
    curve = results.curves[results.curves["trial_id"] == trials.loc["half", "trial_id"]]
    assert curve["dev_score"].notna().sum() == 2 and curve["flops"].is_monotonic_increasing and curve["flops"].iloc[0] > 0


def test_weights_reach_the_loss_of_a_trial(suite_file: Callable[..., Path], run: Callable[..., Any], tmp_path: Path) -> None:
    method = {"name": "full-fine-tuning", "config": {"learning_rate": 0.01, "batch_size": 4}}
    run(suite_file(methods=[method], selections=[{"name": "one-class", "ratio": 1.0}], seeds=1, budget={"epochs": 10}))
    results = api.load_results(tmp_path / "store")
    predicted = results.records(results.trials["trial_id"].iloc[0])["prediction"]
    assert predicted.nunique() == 1, "rows of weight 0 teach nothing, so only one class is ever answered"


# -- probes ---------------------------------------------------------------------------------------------------------------------

MOODS = ["answer-count", *({"name": "answer-count", "mood": mood, "label": mood} for mood in ("none", "unsupported", "infinite"))]


def test_probes_stand_in_the_result_and_the_view(suite_file: Callable[..., Path], run: Callable[..., Any], tmp_path: Path) -> None:
    run(suite_file(probes=MOODS, seeds=1, test_rows=7))
    results = api.load_results(tmp_path / "store")
    (row,) = results.trials.to_dict("records")
    assert row["probe:answer-count"] == 7 and all(row[f"probe:{name}"] != row[f"probe:{name}"] for name in ("none", "unsupported"))
    from harness.store import Store

    stored = Store(tmp_path / "store").get(row["trial_id"], row["run_key"])
    assert stored is not None and stored.result["probes"] == {
        "answer-count": {"value": 7.0, "reason": None, "parts": {"all": 7.0}},
        "none": {"value": None, "reason": "nothing to count"},
        "unsupported": {"value": None, "reason": "not on this backbone"},
        "infinite": {"value": None, "reason": "the value is inf"},
    }


def test_probes_change_no_question_but_are_asked_again(suite_file: Callable[..., Path]) -> None:
    (plain,) = api.plan(suite_file(seeds=1), device="cpu").cells
    (probed,) = api.plan(suite_file("probed", probes=["answer-count"], seeds=1), device="cpu").cells
    assert plain.trial.trial_id == probed.trial.trial_id and plain.run_key != probed.run_key and plain.block == probed.block
    assert "probes" not in plain.trial.value() and Trial.from_value(probed.trial.value()).probes == list(probed.trial.probes)


def test_a_broken_probe_fails_its_trial(suite_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    session = run(suite_file(probes=[{"name": "answer-count", "mood": "broken"}], seeds=1))
    assert [(done.status, done.reason) for done in session.outcomes.values()] == [("failed", "RuntimeError: no luck")]


@pytest.mark.parametrize(("probes", "words"), [(["weight"], "weight"), (["answer-count", "answer-count"], "two of them")])
def test_a_wrong_probe_is_one_clear_error(suite_file: Callable[..., Path], probes: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        api.plan(suite_file(probes=probes), device="cpu")
