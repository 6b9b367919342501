"""The history table, trends, limits and the page."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from harness.reports.regression.history import Run, Series, append, read, rows_of, series_of
from harness.reports.regression.margins import Margins
from harness.reports.regression.trend_page import trend_page
from harness.reports.regression.trends import find_trend, find_trends

from harness.errors import InputError

NAME = {"arm": "lora", "method": "lora", "task": "rte", "template": "", "backbone": "tiny", "block": "b", "metric": "accuracy"}


def series(scores, *, environments=None, direction="higher", seeds=5, se=0.004, name=None) -> Series:
    environments = environments or ["env"] * len(scores)
    seeds = seeds if isinstance(seeds, list) else [seeds] * len(scores)
    runs = tuple(
        Run(f"commit{i:04d}", f"2026-01-{1 + i % 28:02d}", environments[i], "1", score, se, seeds[i], 0) for i, score in enumerate(scores)
    )
    return Series({**NAME, **(name or {})}, direction, 1.0, runs)


def test_one_row_per_trial_with_what_the_table_promises(run_suite, fail, tmp_path):
    rows = rows_of(fail(run_suite(1), "lora", "rte", [2]), commit="abc", date="2026-03-01")
    assert len(rows) == 20 and {row["commit"] for row in rows} == {"abc"} and {row["date"] for row in rows} == {"2026-03-01T00:00:00"}
    first = rows[0]
    assert {"environment", "method", "task", "seed", "score", "se"} <= set(first)
    assert first["se"] == pytest.approx(np.sqrt(first["score"] * (1 - first["score"]) / 199))
    [failed] = [row for row in rows if row["status"] != "ok"]
    assert failed["score"] is None and failed["se"] is None


def test_the_table_is_appended_to_and_never_twice(run_suite, tmp_path):
    table = tmp_path / "sub" / "history.jsonl"
    assert append(table, rows_of(run_suite(1), commit="a", date="2026-01-01")) == 20
    before = table.read_bytes()
    assert append(table, rows_of(run_suite(1), commit="a", date="2026-01-02")) == 0
    assert append(table, rows_of(run_suite(2), commit="b", date="2026-01-02")) == 20
    assert table.read_bytes().startswith(before)
    found = series_of(read(table))
    assert [one.label for one in found] == ["bitfit · rte · tiny", "bitfit · sst2 · tiny", "lora · rte · tiny", "lora · sst2 · tiny"]
    assert [run.commit for run in found[0].runs] == ["a", "b"] and found[0].runs[0].n_ok == 5


def test_environment_digest_changes_with_versions_and_device(run_suite):
    def change(**new):
        return {row["environment"] for row in rows_of(run_suite(1, change=lambda row: row.update(new)), commit="a")}

    digests = change() | change(environment=json.dumps({"torch": "2.14.0"})) | change(device="cuda:0")
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("line", "words"), [("{", "history.jsonl:21: is no JSON"), ("{}", "history.jsonl:21: lacks commit"), ("[1]", "lacks")]
)
def test_damaged_lines_are_named(run_suite, tmp_path, line, words):
    table = tmp_path / "history.jsonl"
    append(table, rows_of(run_suite(1), commit="a"))
    with table.open("a") as handle:
        handle.write(line + "\n")
    with pytest.raises(InputError, match=words):
        read(table)


def test_dates_and_commits_are_checked(run_suite):
    with pytest.raises(InputError, match="'yesterday' is no date"):
        rows_of(run_suite(1), commit="a", date="yesterday")
    with pytest.raises(InputError, match="--commit: is empty"):
        rows_of(run_suite(1), commit=" ")


def noise(n, seed=0, sd=0.004):
    return (0.8 + np.random.default_rng(seed).normal(0, sd, n)).tolist()


def test_the_newest_run_is_held_to_a_prediction_limit():
    good, bad = find_trend(series([*noise(12), 0.80])), find_trend(series([*noise(12), 0.75]))
    assert not good.crossed and bad.crossed and good.limit == bad.limit
    assert good.limit is not None and 0.77 < good.limit < 0.80 and "prediction limit from 12 runs" in good.limit_source
    lower = find_trend(series([*[1 - x for x in noise(12)], 0.25], direction="lower"))
    assert lower.crossed and lower.limit is not None and lower.limit > 0.2


def test_the_golden_limit_is_the_one_used(golden_limit=0.7743068450114656):
    trend = find_trend(series([0.8, 0.81, 0.79, 0.8, 0.8, 0.81, 0.77]), tail=0.01)
    assert trend.limit == pytest.approx(golden_limit, abs=1e-9) and trend.crossed


def test_few_runs_fall_back_to_the_margin():
    trend = find_trend(series([*noise(5), 0.70]), margins=Margins({"accuracy": 0.02}))
    assert trend.limit == pytest.approx(np.mean(noise(5)) - 0.02) and "margin 0.02" in trend.limit_source and trend.crossed
    noisy = find_trend(series([*noise(5), 0.78], se=0.02), margins=Margins({"accuracy": 0.001}))
    assert "seed noise" in noisy.limit_source and not noisy.crossed
    assert find_trend(series([0.8])).limit is None


def test_fewer_seeds_widen_the_limit():
    whole, fewer = (find_trend(series([*noise(12), 0.79], seeds=[5] * 12 + [n])) for n in (5, 2))
    assert whole.limit is not None and fewer.limit is not None and fewer.limit < whole.limit


def test_a_change_of_environment_starts_anew():
    scores = [*noise(10), *[x - 0.05 for x in noise(10, 1)]]
    one = find_trend(series(scores))
    two = find_trend(series(scores, environments=["old"] * 10 + ["new"] * 10))
    assert [change.index for change in one.changes] == [10] and one.changes[0].worse
    assert two.changes == () and [(level.start, level.opened_by) for level in two.levels] == [(0, "start"), (10, "environment")]
    assert "9 runs" in two.limit_source and two.limit_start == 10


def test_a_step_names_its_commits_and_the_limit_follows_the_new_level():
    trend = find_trend(series([*noise(10), *[x - 0.05 for x in noise(10, 1)]]))
    [change] = trend.changes
    first, last = trend.changed_between(change)
    assert first <= "commit0009" < "commit0010" <= last or (first, last) == ("commit0009", "commit0010")
    assert trend.limit is not None and trend.limit < 0.75


def test_failed_runs_are_skipped_but_kept():
    scores = noise(12)
    trend = find_trend(series([*scores[:6], None, *scores[6:]]))
    assert trend.levels[-1].stop == 13 and not trend.crossed
    assert find_trend(series([*scores, None])).limit_source == "the newest run has no score"


def test_false_alarms_over_a_page_of_series():
    """25 series of 15 runs: the chance that any newest run crosses is `tail` or less for the page."""
    rng = np.random.default_rng(5)
    pages, alarms = 60, 0
    for _ in range(pages):
        found = find_trends([series((0.8 + rng.normal(0, 0.01, 15)).tolist()) for _ in range(25)], tail=0.05)
        alarms += any(trend.crossed for trend in found)
    assert alarms <= 0.05 * pages + 3.1 * np.sqrt(0.05 * 0.95 * pages)


class Outline(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_escaped():
    hostile = series(noise(10), name={"arm": "<script>alert(1)</script>"})
    text = trend_page(find_trends([hostile, series([*noise(12), 0.7]), series([None, None])]))
    found = Outline(text)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not any("src" in attrs or "href" in attrs for _, attrs in found.tags)
    assert sum(tag == "svg" for tag, _ in found.tags) == 3 and "nan" not in text.lower()
    assert sum(tag == "circle" for tag, _ in found.tags) == 23
    assert text.index("BEYOND") < text.index("&lt;script&gt;")  # what needs attention stands first


def test_the_page_marks_steps_and_environments():
    environments = ["a"] * 15 + ["b"] * 5
    scores = [*noise(8), *[x - 0.06 for x in noise(7, 1)], *noise(5, 2)]
    text = trend_page([find_trend(series(scores, environments=environments))])
    tags = Outline(text).tags
    assert sum(tag == "path" for tag, _ in tags) == 1
    assert sum(attrs.get("stroke-dasharray") == "3 3" for tag, attrs in tags if tag == "line") == 1
