"""Other models of the same results, streams, pictures and looks: what the analysis says, and that the page shows it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness.reports.analysis import Options, analyse
from harness.reports.analysis.codec import encode, read_results
from harness.reports.html import render_page
from harness.reports.html.pictures import LARGEST, MOST, choose_pictures
from harness.reports.statistics import fit_bradley_terry, task_effects, wins_from_scores
from harness.reports.synthetic import Plan, synthetic_results

from harness.outcome import Media
from harness.results import Results

FAST = Options(n_resamples=500, baselines=("method-02",))
PLAN = Plan(methods=5, tasks=5, examples=60, failure_rate=0.0)


@pytest.fixture(scope="module")
def results() -> Results:
    return synthetic_results(PLAN, effects={"method-00": 2.5, "method-02": 0.0})


@pytest.fixture(scope="module")
def family(results: Results):
    return analyse(results, FAST).families[0]


def test_task_models_rest_on_the_tests_of_the_columns(family) -> None:
    found = {item.a: item for item in family.task_models}["method-00"]
    tests = {(t.column, t.a, t.b): t.test for t in family.column_pairs}
    d = [tests[task, "method-00", "method-02"].estimate for task in found.tasks]
    s = [tests[task, "method-00", "method-02"].se for task in found.tasks]
    assert found.raw == pytest.approx(d)
    assert found.mu.estimate == pytest.approx(task_effects(d, s, rope=FAST.relevant).mu) and found.mu.details["p_better"] > 0.9
    # shrinking moves every task towards the mean, never beyond it
    assert all(min(raw, found.mu.estimate) - 0.02 <= shrunk <= max(raw, found.mu.estimate) + 0.02 for raw, shrunk in zip(d, found.shrunk))
    assert found.mu.generalise_over == "tasks" and found.pooled.pvalue is not None


def test_strengths_are_those_of_the_examples(results: Results, family) -> None:
    arms = [row.arm for row in family.standings]
    wins = np.zeros((5, 5))
    for scores in results.scores.values():
        of = results.trials.set_index("trial_id").loc[list(scores.trial_ids), "arm"].to_numpy()
        wins += wins_from_scores(np.stack([scores.values[of == arm, :, 0].mean(axis=0) for arm in arms], axis=1))
    fit = fit_bradley_terry(wins)
    found = {row.arm: row for row in family.strengths}
    for i, arm in enumerate(arms):
        assert found[arm].elo == pytest.approx(fit.elo[i])
        if arm != "method-02":
            assert found[arm].beats.estimate == pytest.approx(fit.probability(i, arms.index("method-02")))
    assert found["method-00"].beats.ci_low > 0.5 and found["method-02"].beats.degenerate == "the arm itself"


def test_dominance_is_counted_over_columns_in_both_directions(family) -> None:
    found = {item.a: item for item in family.dominance}["method-00"]
    assert found.claims >= 3 and found.against == 0 and len(found.bounds) == 5 and found.note is None
    n = sum(2 * len(item.bounds) for item in family.dominance)
    assert found.level == pytest.approx(1 - 0.05 / n)


def test_looking_after_every_example_stops_where_zero_is_left(family) -> None:
    assert {item.a for item in family.looks} == {"method-00"} and len(family.looks) == 5
    for item in family.looks:
        left_out = item.found.ci_low > 0 or item.found.ci_high < 0
        assert left_out == (item.first is not None)
    assert any(item.first is not None for item in family.looks)


def test_lower_is_better_turns_all_of_them(results: Results) -> None:
    turned = replace(results, trials=results.trials.assign(higher_is_better=False))
    found = analyse(turned, FAST).families[0]
    item = {item.a: item for item in found.task_models}["method-00"]
    assert item.mu.estimate < 0
    assert {row.arm: row for row in found.strengths}["method-00"].beats.estimate < 0.5
    assert {item.a: item for item in found.dominance}["method-00"].against >= 3


def test_the_page_shows_the_numbers_of_the_analysis(results: Results) -> None:
    from harness.reports.analysis import digits

    analysis = analyse(results, FAST)
    text = render_page(analysis)
    section = text[text.index('-models"') : text.index('id="provenance"')]
    item = analysis.families[0].task_models[0]
    assert digits.interval(item.mu, analysis.families[0].places.difference, sign=True) in section
    for words in ("Hierarchical Bayes", "Bradley–Terry", "Almost stochastic order", "Looking after every example"):
        assert words in section
    assert read_results(encode(analysis)) == analysis


def test_missing_examples_are_not_guessed(results: Results) -> None:
    scores = dict(results.scores)
    holes = {task: replace(one, values=np.where(np.arange(60)[None, :, None] == 3, np.nan, one.values)) for task, one in scores.items()}
    found = analyse(replace(results, scores=holes), FAST).families[0]
    assert found.strengths == () and found.looks == () and found.task_models


def test_unbalanced_cells_say_that_they_are_estimated_by_reml(results: Results) -> None:
    rng = np.random.default_rng(0)
    holes = {
        task: replace(one, values=np.where(rng.random(one.values.shape[:2])[..., None] < 0.1, np.nan, one.values))
        for task, one in results.scores.items()
    }
    whole, found = (analyse(replace(results, scores=scores), FAST).families[0].shares[0] for scores in (results.scores, holes))
    assert "REML" in found.note and whole.note is None and found.n_examples == 60
    assert found.shares["example"] == pytest.approx(whole.shares["example"], abs=0.1)


def test_the_task_that_decides_is_named(results: Results) -> None:
    trials = results.trials.copy()
    lifted = (trials["arm"] == "method-03") & (trials["task"] == "task-04")
    trials.loc[trials["task"] == "task-04", "score"] = 0.3
    trials.loc[lifted, "score"] = 1.0
    trials.loc[trials["task"] != "task-04", "score"] = np.where(trials.loc[trials["task"] != "task-04", "arm"] == "method-00", 0.7, 0.6)
    found = analyse(Results(trials), FAST)
    assert found.families[0].task_dependence.deciding == {"task-04": "method-00"}
    assert "without task-04 method-00 has the highest mean" in render_page(found)


# --- streams --------------------------------------------------------------------------------------------------------------------------


def with_streams(results: Results, steps: int = 4) -> Results:
    rows = results.trials[results.trials["task"] == "task-00"]
    stream = [(t, s, 0.5 + 0.1 * s + 0.01 * seed, 8) for t, seed in zip(rows["trial_id"], rows["seed"]) for s in range(steps)]
    return replace(results, streams=pd.DataFrame(stream, columns=["trial_id", "step", "value", "n"]))


def test_streams_are_means_over_seeds_with_bands(results: Results) -> None:
    found = analyse(with_streams(results), FAST)
    streams = found.families[0].streams
    assert len(streams) == 5 and {s.label for s in streams} == {"task-00"}
    first = streams[0]
    assert first.steps == (0.0, 1.0, 2.0, 3.0) and first.mean == pytest.approx((0.52, 0.62, 0.72, 0.82)) and first.n_seeds == 5
    half = 2.776445 * np.std([0, 0.01, 0.02, 0.03, 0.04], ddof=1) / np.sqrt(5)
    assert first.high[0] - first.mean[0] == pytest.approx(half, rel=1e-5)
    assert "Along the test stream" in render_page(found) and "Along the test stream" not in render_page(analyse(results, FAST))


def test_a_step_that_a_seed_did_not_reach_is_left_out(results: Results) -> None:
    given = with_streams(results)
    given.streams = given.streams[~((given.streams["step"] == 3) & given.streams["trial_id"].str.endswith(".4"))]
    assert {len(s.steps) for s in analyse(given, FAST).families[0].streams} == {3}


# --- pictures -------------------------------------------------------------------------------------------------------------------------


def svg(text: str, size: int = 100) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><!--{text}{"x" * size}--></svg>'.encode()


def test_pictures_are_embedded_with_their_words(results: Results) -> None:
    given = replace(results, media_loader=lambda trial: [Media("scene.svg", svg(trial), "A <scene> & its prompt", "scene")])
    analysis = analyse(given, FAST)
    gallery = choose_pictures(given, analysis)["synthetic"]
    assert len(gallery.pictures) == MOST and gallery.too_large == 0
    text = render_page(analysis, pictures={"synthetic": gallery})
    images = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"', text)
    assert len(images) == MOST and images[0][1].startswith("A &lt;scene&gt; &amp; its prompt (method-00 on task-00, seed 0")
    assert base64.b64decode(images[0][0]).startswith(b"<svg")
    # arms stand beside each other on the first task
    assert [picture.where.split()[0] for picture in gallery.pictures[:5]] == [row.arm for row in analysis.families[0].standings]


def test_large_and_repeated_pictures_are_left_out(results: Results) -> None:
    def media(trial: str) -> list[Media]:
        return [Media("a.svg", svg("same"), "same", "scene"), Media("b.svg", svg(trial, LARGEST), "large", "edit")]

    given = replace(results, media_loader=media)
    gallery = choose_pictures(given, analyse(given, FAST))["synthetic"]
    assert len(gallery.pictures) == 1 and gallery.too_large == 25
    assert "25 more are larger than a page takes" in render_page(analyse(given, FAST), pictures={"synthetic": gallery})


def test_kinds_take_turns(results: Results) -> None:
    def media(trial: str) -> list[Media]:
        return [
            Media(f"{kind}-{i}.png", svg(f"{trial}{kind}{i}"), kind, kind) for kind, n in (("scene", 9), ("graph", 1)) for i in range(n)
        ]

    given = replace(results, media_loader=media)
    kinds = [picture.kind for picture in choose_pictures(given, analyse(given, FAST))["synthetic"].pictures]
    assert kinds.count("graph") == kinds.count("scene") == MOST / 2


def test_a_page_with_pictures_stays_small(results: Results) -> None:
    given = replace(results, media_loader=lambda trial: [Media("a.png", svg(trial, LARGEST - 200), "full", "scene")])
    analysis = analyse(given, FAST)
    text = render_page(analysis, pictures=choose_pictures(given, analysis))
    assert len(text.encode()) < 1_000_000


# --- looks ----------------------------------------------------------------------------------------------------------------------------


def with_suite(results: Results, **about) -> Results:
    trials = results.trials.assign(started="2026-01-01T10:00:00+00:00")
    return replace(results, trials=trials, provenance={"suites": [{"suite": "synthetic", **about}]})


def test_declared_looks_share_alpha(results: Results) -> None:
    found = analyse(with_suite(results, looks=[3, 5]), FAST)
    assert found.options.alpha == pytest.approx(0.025) and found.options.level == pytest.approx(0.975)
    assert "This is look 2 of 2" in found.families[0].notes[0]
    assert "97.5 %" in render_page(found)
    off = analyse(with_suite(results, looks=[3, 10]), FAST)
    assert off.options.alpha == 0.05 and off.families[0].notes[0].startswith(
        "Optional stopping: looks after 3 and 10 seeds were declared, but 5"
    )


def test_seeds_planned_after_results_stood_are_marked(results: Results) -> None:
    early = {str(seed): "2026-01-01T09:00:00+00:00" for seed in range(3)}
    late = {str(seed): "2026-01-02T09:00:00+00:00" for seed in (3, 4)}
    [note] = [note for note in analyse(with_suite(results, seeds_planned=early | late), FAST).families[0].notes if "Optional" in note]
    assert "seeds 3 and 4 of suite synthetic were planned on 2026-01-02, when results of 3 seeds stood" in note
    before = {seed: "2026-01-01T09:30:00+00:00" for seed in late}  # a second plan, but nothing had run
    assert not any("Optional" in note for note in analyse(with_suite(results, seeds_planned=early | before), FAST).families[0].notes)


def test_uneven_seeds_are_guessed_at_only_where_no_plan_says(results: Results) -> None:
    trials = results.trials
    fewer = replace(results, trials=trials[(trials["arm"] == "method-00") | (trials["seed"] < 3)])
    marked = {row.arm for row in analyse(fewer, FAST).families[0].standings if row.optional_stopping}
    assert marked == {"method-00"}
    once = {str(seed): "2026-01-01T09:00:00+00:00" for seed in range(5)}
    known = analyse(with_suite(fewer, seeds_planned=once), FAST).families[0]
    assert not any(row.optional_stopping for row in known.standings)
