"""Golden values of one task and one cell: intervals, components, pairs, effects, families."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.reports import statistics as st

CASES = {case["id"]: case for case in json.loads((Path(__file__).parent / "golden.json").read_text())["cases"]}


def case(name: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    entry = CASES[name]
    return entry["inputs"], entry["expected"], entry["tol"]


def near(expected: Any, tol: float) -> Any:
    return pytest.approx(expected, abs=tol, rel=0)


@pytest.mark.parametrize("name", ["cell_t_ci", "cell_n1", "cell_zero_var"])
def test_cell(name: str) -> None:
    given, expected, tol = case(name)
    cell = st.cell_mean(given["x"], level=given["level"])
    found = {"mean": cell.mean, "sd": cell.sd, "lo": cell.interval.ci_low, "hi": cell.interval.ci_high, "sem": cell.sem}
    for key, value in expected.items():
        if key == "degenerate":
            assert cell.interval.degenerate
        else:
            assert found[key] is None if value is None else found[key] == near(value, tol), key


@pytest.mark.parametrize("name", ["prop_ci_870_1000", "prop_ci_20_20", "prop_ci_0_20", "prop_ci_3_7"])
def test_proportion(name: str) -> None:
    given, expected, tol = case(name)
    for method, ends in expected.items():
        found = st.proportion_interval(given["k"], given["n"], method=method.replace("_", "-"), level=1 - given["alpha"])
        assert found.interval == near(tuple(ends), tol), method


def test_bootstrap_over_all_resamples() -> None:
    given, expected, tol = case("bootstrap_exhaustive")
    for method in ("percentile", "basic", "BCa"):
        found = st.bootstrap_interval(given["x"], rng=np.random.default_rng(0), method=method, level=given["level"])
        assert found.n_resamples == expected["n_resamples"]
        assert found.se == near(expected["se"], tol)
        assert found.interval == near(tuple(expected[method]), tol), method


def test_clustered_se() -> None:
    given, expected, tol = case("clustered_se")
    found = st.clustered_mean(given["y"], given["cluster"])
    assert found.df == expected["dof"]
    assert dict(found.details) == near({key: expected[key] for key in ("naive_se", "cr0", "cr1")}, tol)
    assert found.se == near(expected["cr1"], tol)
    assert st.clustered_mean(given["y"], given["cluster"], correction="CR0").se == near(expected["cr0"], tol)


def test_group_se() -> None:
    given, expected, tol = case("group_se")
    assert st.group_mean([0.5, 0.6], given["se"]).se == near(expected["se_macro"], tol)
    assert st.group_mean([0.5, 0.6], given["se"], sizes=given["n"], weighting="micro").se == near(expected["se_micro"], tol)


def test_crossed_components() -> None:
    given, expected, tol = case("varcomp_crossed")
    found = st.variance_components(given["Y"])
    assert dict(found.mean_squares) == near(
        {"seed": expected["ms_seed"], "example": expected["ms_example"], "remainder": expected["ms_resid"]}, tol
    )
    assert dict(found.variances) == near(
        {"seed": expected["var_seed"], "example": expected["var_example"], "remainder": expected["var_resid"]}, tol
    )
    assert (found.se, found.estimate) == near((expected["se_grand_mean"], expected["grand_mean"]), tol)
    # the default paired test rests on the same standard error
    table = np.array(given["Y"])
    assert st.paired_difference(table, np.zeros_like(table)).se == near(expected["se_grand_mean"], tol)


def test_paired_t() -> None:
    given, expected, tol = case("paired_t")
    found = st.paired_t(given["a"], given["b"])
    assert found.df == expected["df"]
    assert (found.estimate, found.statistic, found.pvalue) == near((expected["mean_diff"], expected["t"], expected["p"]), tol)
    assert found.interval == near((expected["lo"], expected["hi"]), tol)


def test_sign_flip() -> None:
    given, expected, tol = case("paired_perm_exact")
    assert st.sign_flip_test(given["a"], given["b"]).pvalue == near(expected["p_two_sided"], tol)
    assert st.sign_flip_test(given["a"], given["b"], alternative="greater").pvalue == near(expected["p_greater"], tol)


@pytest.mark.parametrize("zeros", ["wilcox", "pratt", "zsplit"])
def test_wilcoxon(zeros: Any) -> None:
    given, expected, tol = case(f"wilcoxon_{zeros}")
    found = st.wilcoxon_signed_rank(given["a"], given["b"], zeros=zeros)
    assert (found.statistic, found.pvalue) == near((expected["W"], expected["p"]), tol)


def test_wilcoxon_floor() -> None:
    given, expected, tol = case("wilcoxon_n5_floor")
    found = st.wilcoxon_signed_rank(given["d"], np.zeros(len(given["d"])))
    assert (found.statistic, found.pvalue) == near((expected["W"], expected["p"]), tol)
    assert found.note


def test_sign_test() -> None:
    given, expected, tol = case("sign_test")
    assert st.sign_test(**given).pvalue == near(expected["p"], tol)


@pytest.mark.parametrize("name", ["mcnemar_25_10", "mcnemar_3_1", "mcnemar_0_0"])
def test_mcnemar(name: str) -> None:
    given, expected, tol = case(name)
    details = st.mcnemar(given["n10"], given["n01"]).details
    named = {
        "p exact": "p_exact",
        "p mid-p": "p_mid",
        "p chi2": "p_chi2",
        "p chi2-corrected": "p_cc",
        "chi2": "chi2",
        "chi2_corrected": "chi2_cc",
    }
    assert {new: details[ours] for ours, new in named.items()} == near(expected, tol)


def test_paired_standard_error() -> None:
    given, expected, tol = case("paired_se")
    found = st.paired_standard_error(given["a"], given["b"])
    assert (found.estimate, found.se) == near((expected["diff"], expected["se_paired"]), tol)
    assert (found.details["se_unpaired"], found.details["correlation"]) == near((expected["se_unpaired"], expected["corr"]), tol)


@pytest.mark.parametrize("name", ["aso_ratio", "aso_ratio_unequal_n"])
def test_violation_ratio(name: str) -> None:
    given, expected, tol = case(name)
    ratio = st.violation_ratio(given["a"], given["b"])
    assert ratio == near(expected["ratio_exact"], 1e-9)
    assert ratio == near(expected["ratio_deepsig"], tol)
    assert st.violation_ratio(given["b"], given["a"]) == near(expected.get("ratio_reverse_exact", 1 - expected["ratio_exact"]), 1e-9)


def test_aso_bound() -> None:
    given, expected, tol = case("aso_eps_min")
    found = st.almost_stochastic_order(given["a"], given["b"], rng=np.random.default_rng(0), level=given["level"])
    assert found.ci_high == near(expected["eps_min"], tol)
    # all 5^5 x 5^5 resamples, from the case's note
    assert found.ci_high == near(0.4878927, 0.02)


def test_adjusted_pvalues() -> None:
    given, expected, tol = case("multiple_testing")
    ours = {"simes-hochberg": "hochberg", "fdr_bh": "benjamini-hochberg", "fdr_by": "benjamini-yekutieli"}
    for method, values in expected.items():
        assert st.adjust(given["p"], ours.get(method, method)).adjusted.tolist() == near(values, tol), method


def test_partial_conjunction() -> None:
    given, expected, tol = case("partial_conjunction")
    assert st.partial_conjunction(given["p"]).pvalues.tolist() == near(expected["monotone"], tol)


def test_combined_pvalues() -> None:
    given, expected, tol = case("combine_fisher")
    for method, value in expected.items():
        assert st.combine_pvalues(given["p"], method).pvalue == near(value, tol)


def test_corrected_resampled_t() -> None:
    given, expected, tol = case("corrected_resampled_t")
    found = st.corrected_resampled_t(given["d"], test_train_ratio=given["test_train_ratio"])
    assert (found.statistic, found.pvalue) == near((expected["t"], expected["p"]), tol)


def test_independent_effects() -> None:
    given, expected, tol = case("effect_independent")
    x, y = given["x"], given["y"]
    found = {
        "cliffs_delta": st.cliffs_delta(x, y),
        "prob_superiority": st.probability_of_superiority(x, y).estimate,
        "p_mannwhitney": st.mann_whitney(x, y).pvalue,
        "cohen_d": st.cohen_d(x, y),
        "hedges_g": st.hedges_g(x, y),
    }
    assert found == near(expected, tol)


def test_paired_effects() -> None:
    given, expected, tol = case("effect_paired")
    assert (st.cohen_dz(**given), st.cohen_dav(**given)) == near((expected["d_z"], expected["d_av"]), tol)


def test_effects_without_variance() -> None:
    given, expected, tol = case("effect_zero_var")
    found = (st.cohen_d(**given), st.cliffs_delta(**given), st.probability_of_superiority(**given).estimate)
    assert found == near((expected["cohen_d"], expected["cliffs_delta"], expected["prob_superiority"]), tol)


def test_probability_of_improvement() -> None:
    given, expected, tol = case("rliable_point")
    x, y = np.array(given["x"]), np.array(given["y"])
    assert st.probability_of_improvement(list(x.T), list(y.T)).estimate == near(expected["prob_improvement"], tol)


def test_margins() -> None:
    given, expected, tol = case("noninferiority")
    found = st.noninferiority(st.paired_t(given["a"], given["b"]), given["margin"])
    assert (found.statistic, found.pvalue) == near((expected["t"], expected["p"]), tol)
    given, expected, tol = case("tost")
    found = st.equivalence(st.paired_t(given["a"], given["b"]), given["low"], given["upp"])
    assert (found.pvalue, found.details["t_low"], found.details["t_high"]) == near(
        (expected["p"], expected["t_low"], expected["t_upp"]), tol
    )


def test_mann_whitney() -> None:
    given, expected, tol = case("mann_whitney_5v5")
    found = st.mann_whitney(given["x"], given["y"])
    assert (found.statistic, found.pvalue) == near((expected["U"], expected["p"]), tol)
