"""Golden values of many methods and tasks: ranks, posteriors, aggregates, power, sequences, budgets, templates."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.reports import statistics as st
from harness.reports.regression import changepoints, limits

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())["cases"]
CASES = {case["id"]: case for case in GOLDEN}


def case(name: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    entry = CASES[name]
    return entry["inputs"], entry["expected"], entry["tol"]


def near(expected: Any, tol: float) -> Any:
    return pytest.approx(expected, abs=tol, rel=0)


def close(found: Any, expected: Any, tol: float) -> None:
    np.testing.assert_allclose(np.asarray(found, dtype=float), np.asarray(expected, dtype=float), atol=tol, rtol=0)


def test_friedman() -> None:
    given, expected, tol = case("friedman_demsar")
    found = st.friedman_test(given["scores"])
    close(found.mean_ranks, expected["avg_rank"], tol)
    pairs = {
        "chi2_demsar": found.chi2_uncorrected,
        "chi2_ties": found.chi2,
        "p_chi2_ties": found.pvalue_chi2,
        "F_demsar": found.f_uncorrected,
        "F_ties": found.f,
        "p_F_demsar": found.pvalue_f_uncorrected,
        "p_F_ties": found.pvalue_f,
        "CD": st.critical_difference(4, 14),
        "kendall_W_ties": found.kendall_w,
    }
    for key, value in pairs.items():
        assert value == near(expected[key], tol), key
    assert st.nemenyi(given["scores"]).critical_difference == near(expected["CD"], tol)
    assert expected["CD"] == pytest.approx(expected["q_alpha"] * (4 * 5 / (6 * 14)) ** 0.5)


def test_friedman_all_ties() -> None:
    given, expected, tol = case("friedman_all_ties")
    found = st.friedman_test(given["scores"])
    assert found.chi2 == near(expected["chi2"], tol) and found.pvalue_chi2 == near(expected["p"], tol)
    assert found.degenerate
    assert st.any_difference(given["scores"]).pvalue == 1.0


def test_nemenyi() -> None:
    given, expected, tol = case("nemenyi_p")
    close(st.nemenyi(given["scores"]).pvalues, expected["p"], tol)


def test_conover() -> None:
    given, expected, tol = case("conover_p_holm")
    close(st.conover(given["scores"]).pvalues, expected["p"], tol)


def test_wilcoxon_holm() -> None:
    given, expected, tol = case("wilcoxon_holm")
    found = st.wilcoxon_holm(given["scores"])
    first, second = zip(*given["pairs"], strict=True)
    close(found.raw_pvalues[first, second], expected["raw"], tol)
    close(found.pvalues[first, second], expected["holm"], tol)


def three(found: st.Posterior) -> list[float | None]:
    return [found.p_worse, found.p_equal, found.p_better]


@pytest.mark.parametrize("name", ["bayes_signed_rank", "bayes_sign"])
def test_bayesian_tests(name: str) -> None:
    given, expected, tol = case(name)
    test = {"bayes_signed_rank": st.bayesian_signed_rank, "bayes_sign": st.bayesian_sign}[name]
    found = test(given["y"], given["x"], rope=given["rope"], rng=np.random.default_rng(0))
    close(three(found), expected["probs"], tol)


def test_bayesian_correlated_t() -> None:
    given, expected, tol = case("bayes_correlated_t")
    found = st.bayesian_correlated_t(given["y"], given["x"], rope=given["rope"], correlation=given["runs"] / len(given["x"]))
    close(three(found), expected["probs"], tol)
    close([found.details["mean"], found.details["squared_scale"], found.details["df"]], [expected[k] for k in ("mean", "var", "df")], tol)


def test_hierarchical() -> None:
    given, expected, tol = case("hier_tasks")
    found = st.task_effects(given["d"], given["se"], rope=0.0, tau_max=60)
    for key, value in {
        "post_mean_mu": found.mu,
        "post_sd_mu": found.mu_sd,
        "post_median_tau": found.tau_median,
        "p_mu_gt0": found.p_better,
    }.items():
        assert value == near(expected[key], tol), key
    for short, method in {"dl": "dersimonian-laird", "pm": "paule-mandel"}.items():
        line = st.random_effects(given["d"], given["se"], method=method)
        assert line.estimate == near(expected[f"{short}_mean"], tol)
        assert line.details["tau2"] == near(expected[f"{short}_tau2"], tol)
        assert line.details["Q"] == near(expected["Q"], tol) and line.details["fixed"] == near(expected["fixed"], tol)


def test_aggregates() -> None:
    given, expected, tol = case("rliable_point")
    x, y = (np.array(given[name]).T for name in ("x", "y"))  # [tasks, seeds] here, runs x tasks in rliable
    found = {name: st.aggregate_tasks(x, name).estimate for name in ("mean", "median", "iqm", "optimality_gap")}
    for name, value in found.items():
        assert value == near(expected[name], tol), name
    pairs = [(a > b).mean() + 0.5 * (a == b).mean() for a, b in ((x[t][:, None], y[t][None, :]) for t in range(len(x)))]
    assert np.mean(pairs) == near(expected["prob_improvement"], tol)


def test_interquartile_mean_of_nine() -> None:
    given, expected, tol = case("iqm_not_multiple_of_4")
    assert st.aggregate_tasks(np.array(given["x"]).T, "iqm").estimate == near(expected["iqm"], tol)


def test_performance_profile() -> None:
    given, expected, tol = case("performance_profile")
    found = st.performance_profile(np.array(given["x"]).T, given["taus"])
    close(found.run_profile, expected["run_profile"], tol)
    close(found.mean_profile, expected["mean_profile"], tol)


def test_rank_distribution() -> None:
    given, expected, tol = case("rank_distribution_exhaustive")
    scores = np.array(given["scores_method_task_seed"]).transpose(1, 0, 2)
    found = st.bootstrap_ranks(scores, scale_correction=False)
    assert found.exhaustive and found.n_resamples == 2**12
    close(found.probabilities, expected["rank_prob"], tol)
    close(found.expected, expected["expected_rank"], tol)


def test_kendall_tau() -> None:
    given, expected, tol = case("kendall_tau")
    assert st.kendall_tau(given["x"], given["y"]).estimate == near(expected["tau"], tol)


def test_rank_bounds() -> None:
    given, expected, tol = case("rank_bounds_from_cis")
    first, last = st.rank_bounds(given["lo"], given["up"])
    close(first, expected["rank_ub"], tol)
    close(first, expected["rank_lo"], tol)
    close(last, expected["rank_hi"], tol)


def test_mean_win_rate() -> None:
    given, expected, tol = case("mean_win_rate")
    close(st.mean_win_rate(np.array(given["scores"]).T), expected["win_rate"], tol)


def test_ranks_with_a_missing_cell() -> None:
    given, expected, tol = case("borda_missing")
    scores = np.array(given["scores"], dtype=float)
    close(st.task_ranks(scores), np.array(expected["rank"], dtype=float), tol)
    seen = st.coverage(scores)
    assert list(seen.common_tasks) == expected["complete_tasks"]
    assert seen.labels[0] == "2/3" and seen.partial == (0,)
    common = scores[list(seen.common_tasks)]
    close(st.mean_rank(common), expected["mean_rank_complete"], tol)
    close(common.mean(axis=0), expected["mean_score_complete"], tol)
    # the forbidden rule would put m1 first; here it has no place until its cell is filled
    assert np.argmax(expected["mean_score_skipna"]) == 0
    for board in (st.mean_rank(scores), st.borda(scores), st.mean_win_rate(scores)):
        assert np.isnan(board[0]) and np.isfinite(board[1:]).all()


def test_power_of_the_paired_t() -> None:
    given, expected, tol = case("power_paired_t")
    assert st.paired_t_sample_size(given["dz"], given["alpha"], given["power"]) == near(expected["n_needed"], tol)
    assert st.power_paired_t(given["dz"], 5, given["alpha"]) == near(expected["power_at_5"], tol)
    for n in (5, 10):
        assert st.paired_t_detectable(n, given["alpha"], given["power"]) == near(expected[f"mde_dz_at_{n}"], tol)


def test_miller() -> None:
    given, expected, tol = case("miller_sample_size")
    found = st.miller_sample_size(
        given["omega2"], given["sigma2_A"], given["sigma2_B"], given["delta"], answers_a=given["K_A"], answers_b=given["K_B"],
        alpha=given["alpha"], power=given["power"],
    )  # fmt: skip
    assert found == near(expected["n"], tol)


def test_power_of_mcnemar() -> None:
    given, expected, tol = case("power_mcnemar")
    assert st.power_mcnemar(given["n"], given["p01"], given["p10"], given["alpha"]) == near(expected["power"], tol)
    assert st.power_mcnemar(1000, given["p01"], given["p10"], given["alpha"]) == near(expected["power_n1000"], tol)


def test_expected_best() -> None:
    given, expected, tol = case("expected_max")
    close(st.expected_best(given["v"]).expected, expected["without_replacement"], tol)
    biased = st.expected_best(given["v"], with_replacement=True).expected
    close(biased, expected["with_replacement"], tol)
    assert biased[2] == near(expected["brute_B3_with"], tol)


def test_template_anova() -> None:
    given, expected, tol = case("template_anova")
    found = st.template_sensitivity(given["Y_method_template_seed"])
    names = {"C(m)": "method", "C(t)": "template", "C(m):C(t)": "interaction", "Residual": "seed"}
    for theirs, ours in names.items():
        assert found.sums_of_squares[ours] == near(expected["ss"][theirs], tol)
        assert found.degrees[ours] == expected["df"][theirs]
        if ours != "seed":
            assert found.f[ours] == pytest.approx(expected["F_fixed"][theirs], rel=1e-6)
            assert found.pvalues[ours] == pytest.approx(expected["p_fixed"][theirs], rel=1e-6)
    assert found.f_random == pytest.approx(expected["F_method_random_template"], rel=1e-8)
    assert found.pvalue_random == pytest.approx(expected["p_method_random_template"], rel=1e-6)
    for name in ("template", "interaction", "seed"):
        assert found.variances[name] == near(expected[f"var_{name}"], tol)
    close(found.spread, expected["spread"], tol)
    close(found.worst, expected["worst"], tol)


def test_bradley_terry() -> None:
    given, expected, tol = case("bradley_terry")
    found = st.fit_bradley_terry(given["wins"])
    close(found.theta, expected["theta"], tol)
    close(found.elo, expected["elo"], 200 * tol)  # 400 / ln 10 times theta
    close([found.difference_error(0, 2), found.difference_error(1, 2)], expected["se_vs_last"], tol)
    assert found.probability(0, 1) == near(expected["p_01"], tol)


def test_normal_mixture_sequence() -> None:
    given, expected, tol = case("confidence_sequence")
    found = st.normal_mixture_sequence(given["x"], sigma=given["sigma"], rho2=given["rho2"], alpha=given["alpha"])
    close(found.centre, expected["mean"], tol)
    close(found.radius, expected["radius"], tol)


def test_empirical_bernstein_sequence() -> None:
    given, expected, tol = case("prpl_eb_cs")
    found = st.empirical_bernstein_sequence(given["x"], alpha=given["alpha"])
    close(found.centre[expected["index"]], expected["centre_at"], tol)
    close(found.radius[expected["index"]], expected["radius_at"], tol)


def test_change_point() -> None:
    given, expected, tol = case("change_point_asv")
    history = changepoints.find_changes(1 - np.array(given["score"]), "lower", loss="absolute")
    close([[s.start, s.stop, s.level, s.best, s.deviation] for s in history.segments], expected["steps"], tol)
    found = changepoints.find_regression(history, threshold=given["threshold"])
    assert found is not None
    latest, best, steps = expected["regression"]
    close([found.latest, found.best], [latest, best], tol)
    close([[step.index - 1, step.index, step.before, step.after] for step in found.steps], steps, tol)
    # the weighted least-squares form shares the break
    assert [c.index for c in changepoints.find_changes(given["score"]).changes] == [6]


def test_prediction_limit() -> None:
    given, expected, tol = case("prediction_limit")
    assert limits.prediction_limit(given["history"], tail=given["tail"]).ci_low == near(expected["limit"], tol)


COVERED = {
    "friedman_demsar", "friedman_all_ties", "nemenyi_p", "conover_p_holm", "wilcoxon_holm", "bayes_signed_rank", "bayes_sign",
    "bayes_correlated_t", "hier_tasks", "rliable_point", "iqm_not_multiple_of_4", "performance_profile", "rank_distribution_exhaustive",
    "kendall_tau", "rank_bounds_from_cis", "mean_win_rate", "borda_missing", "power_paired_t", "miller_sample_size", "power_mcnemar",
    "expected_max", "template_anova", "bradley_terry", "confidence_sequence", "prpl_eb_cs", "change_point_asv", "prediction_limit",
}  # fmt: skip


def test_every_golden_case_is_read() -> None:
    """Each id stands, quoted, in one of the two golden files."""
    texts = [(Path(__file__).parent / f"test_golden_part{part}.py").read_text() for part in (1, 2)]
    # an id is written whole, or as a family whose last word is a parameter of the test
    ways = {name: (f'"{name}"', 'f"' + name.rsplit("_", 1)[0] + "_{") for name in CASES}
    missing = [name for name, quoted in ways.items() if not any(way in text for text in texts for way in quoted)]
    assert not missing
    assert set(CASES) >= COVERED
