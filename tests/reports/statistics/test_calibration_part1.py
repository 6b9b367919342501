"""The fast form of the calibration: defaults hold their level, and the simulation shows the failures that they are there to avoid."""

from harness.reports.statistics.calibration import Row, calibrate, main, markdown

DEFAULTS = (
    "crossed",
    "noninferiority",
    "hierarchical",
    "t interval",
    "Holm",
    "clustered",
    "Friedman",
    "Nemenyi",
    "Wilcoxon",
    "sign-flip max-T",
    "Welch t from summaries",
    "arms on new templates",
    "arm × template",
    "IQM",
    "profile, simultaneous band",
    "expected best of B",
    "random effects",
    "ASO, claim",
    "Bradley-Terry",
    "empirical Bernstein",
    "normal-mixture",
    "on how many tasks",
)


def test_defaults_hold_their_level_and_others_do_not() -> None:
    rows = list(calibrate(fast=True))
    for row in rows:
        if row.procedure.startswith(DEFAULTS):
            assert row.verdict != "**above nominal**", row

    def rate(regime: str, procedure: str) -> Row:
        return next(row for row in rows if row.regime.startswith(regime) and row.procedure.startswith(procedure))

    # without seed noise the tests over examples are right, with it they are not; tests over seeds fail where methods differ per example
    assert rate("neither", "approximate randomisation").verdict == "ok"
    assert rate("seed noise (", "approximate randomisation").rate > 0.3
    assert rate("seed noise (", "McNemar").rate > 0.3
    assert rate("method x example", "paired t over seeds").verdict == "**above nominal**"
    assert rate("8 tasks", "Wilcoxon").power == 0
    # what the page warns of: templates as if there were no others, and an interval read at every look
    assert rate("2 methods, 4 templates", "arms on these templates").other_question
    assert rate("2 methods, 4 templates", "arms on these templates").rate > 0.3
    assert rate("1000 examples", "normal interval").verdict == "**above nominal**"
    assert "## Above nominal for the question asked" in markdown(rows)


def test_bounds_are_one_sided_failures() -> None:
    assert Row("", "", "", "seeds", 0.0, 400).verdict == "conservative"
    assert Row("", "", "", "seeds", 0.05, 400).verdict == "ok"
    assert Row("", "", "", "seeds", 0.2, 400).verdict == "**above nominal**"


def test_command(monkeypatch, capsys) -> None:
    monkeypatch.setattr("harness.reports.statistics.calibration.calibrate", lambda **_: [Row("p", "r", "t", "seeds", 0.05, 400, 0.5)])
    assert main(["--fast"]) == 0
    assert "| r | t | seeds | 0.0500 |" in capsys.readouterr().out
