"""The tables of docs/real-results.md, from the store of a run of `real-encoder`.

    HARNESS_TEST_DATA=... harness run real-encoder --store STORE
    python -m benchmarks.real_results STORE [--write docs/real-results.md]

`--write` replaces what stands between the page's two marks, so that no figure in a table is typed by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from harness.reports.statistics.intervals import mean_interval

import harness

BEGIN, END = "<!-- tables: benchmarks/real_results.py -->", "<!-- end of tables -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def cell(scores: Sequence[float]) -> str:
    """Mean and 95 % t interval over seeds; how many seeds, where there are fewer than two no interval exists."""
    if not scores:
        return "not run"
    if len(scores) < 2:
        return f"{scores[0]:.3f} (1 seed)"
    result = mean_interval(scores)
    if result.ci_low is None or result.ci_high is None:
        return "undefined" if scores[0] != scores[0] else f"{scores[0]:.3f} (all {len(scores)} equal)"
    return f"{result.estimate:.3f} [{result.ci_low:.3f}, {result.ci_high:.3f}]"


def score_table(trials: pd.DataFrame) -> str:
    """A row a method, best mean over tasks first; a column a task with its metric."""
    tasks = list(dict.fromkeys(trials["task"]))
    metric = trials.groupby("task")["metric"].first()
    ok = trials[trials["status"].isin(["ok", "undefined"])]
    means = ok.groupby(["arm", "task"])["score"].mean().unstack()
    complete = means.reindex(columns=tasks).dropna()
    order = [*complete.mean(axis=1).sort_values(ascending=False).index, *sorted(set(means.index) - set(complete.index))]
    rows = []
    for arm in order:
        of_arm = ok[ok["arm"] == arm]
        average = f"{complete.loc[arm].mean():.3f}" if arm in complete.index else "-"
        rows.append([arm, average, *(cell(list(of_arm[of_arm["task"] == task]["score"])) for task in tasks)])
    return table(["method", "mean", *(f"{task.removesuffix('-local')} ({metric[task]})" for task in tasks)], rows)


def cost_table(trials: pd.DataFrame) -> str:
    """A row a method: trained parameters without the head, seconds to train and to score, FLOPs; means over its trials."""
    ok = trials[trials["status"] == "ok"].assign(flops=lambda frame: frame["flops"].astype(float))
    means = ok.groupby("arm")[["trainable_parameters", "seconds_train", "seconds_evaluate", "flops"]].mean().sort_values("seconds_train")
    rows = [
        [
            str(arm),
            f"{line.trainable_parameters:,.0f}",
            f"{line.seconds_train:.1f}",
            f"{line.seconds_evaluate:.1f}",
            f"{line.flops / 1e9:,.0f}",
        ]
        for arm, line in means.iterrows()
    ]
    return table(["method", "trained parameters", "s to train", "s to score", "GFLOPs"], rows)


def page(trials: pd.DataFrame, reasons: str) -> str:
    counts = trials["status"].value_counts()
    done = ", ".join(f"{number} {status}" for status, number in counts.items())
    hours = trials[["seconds_setup", "seconds_train", "seconds_evaluate"]].sum().sum() / 3600
    return "\n\n".join(
        [
            f"Trials: {done}; {hours:.2f} hours of wall time in trials, one thread each.",
            "### Scores",
            score_table(trials),
            "### Costs",
            cost_table(trials),
            "### Unsupported",
            reasons,
        ]
    )


def unsupported_cells(suite: str) -> str:
    """The plan's unsupported cells, by reason."""
    counts: dict[str, int] = {}
    for planned in harness.plan(suite).cells:
        if planned.unsupported:
            counts[planned.unsupported] = counts.get(planned.unsupported, 0) + 1
    return "\n".join(f"- {reason} ({number} cells)" for reason, number in counts.items()) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--suite", default="real-encoder")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    text = page(harness.load_results(given.store).trials, unsupported_cells(given.suite))
    if not given.write:
        print(text)
        return
    before, mark, rest = given.write.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{given.write} has no {BEGIN!r} .. {END!r}")
    given.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
