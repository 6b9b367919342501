"""Every output parses, holds the same figures, and obeys nothing that stands in a name."""

from __future__ import annotations

import io
import json
import re
from xml.etree import ElementTree

import pytest
from harness.reports.regression.compare import compare
from harness.reports.regression.machine import to_annotations, to_json, to_junit
from harness.reports.regression.markdown import LIMIT, to_markdown
from harness.reports.regression.terminal import print_comparison
from harness.reports.regression.wording import number, sentence
from rich.console import Console

from harness.errors import InputError

HOSTILE = "[red]x[/red]|<script>alert(1)</script>*`\n::error::@all]]>\x01%0A"


def shown(comparison, **options) -> str:
    out = io.StringIO()
    print_comparison(comparison, Console(file=out, width=200, force_terminal=False), **options)
    return out.getvalue()


@pytest.fixture(name="lost")
def lost_fixture(run_suite, fail):
    return compare(run_suite(1), fail(run_suite(2, shift={("lora", "rte"): -1.5}), "bitfit", "rte", range(5)), gate="noninferiority")


@pytest.fixture(name="hostile")
def hostile_fixture(run_suite):
    return compare(
        run_suite(1, arms=(HOSTILE, "b", "c"), tasks=("rte",)),
        run_suite(2, arms=(HOSTILE, "b", "c"), tasks=("rte",), shift=-1.5),
        names=(HOSTILE, HOSTILE),
    )


def test_json(lost):
    found = json.loads(to_json(lost), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert found["exit_code"] == 4 and found["meaning"] == "broken or missing"
    cell = next(cell for cell in found["cells"] if cell["label"] == "lora · rte")
    assert cell["test"]["estimate"] < 0 and cell["p_adjusted"] <= 0.05 and cell["exit_code"] == 1
    assert found["family"] == {"size": 3, "correction": "holm", "direction": "loss"}


def test_junit(lost):
    suite = ElementTree.fromstring(to_junit(lost)).find("testsuite")
    assert suite is not None
    cases = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases["lora · rte"] == ["failure"] and cases["bitfit · rte"] == ["error"]
    assert suite.get("tests") == "4" and suite.get("errors") == "1"
    failures = int(suite.get("failures") or 0)
    assert failures == sum(tags == ["failure"] for tags in cases.values())
    failure = suite.find("testcase[@name='lora · rte']/failure")
    assert failure is not None and "margin" in (failure.text or "") and "interval" in (failure.text or "")


def test_inconclusive_is_skipped_unless_the_gate_fails_it(run_suite):
    for gate, tag in (("regression", "skipped"), ("noninferiority", "failure")):
        found = compare(run_suite(1), run_suite(2), margins={"*": 0.001}, gate=gate)
        suite = ElementTree.fromstring(to_junit(found)).find("testsuite")
        assert suite is not None and {child.tag for case in suite.findall("testcase") for child in case} == {tag}


def test_markdown(lost):
    text = to_markdown(lost)
    assert text.startswith("### ❌ FAIL (broken or missing)") and len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>") >= 1
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


@pytest.mark.parametrize("limit", [LIMIT, 3000])
def test_markdown_stays_under_the_limit_and_says_what_is_left_out(run_suite, limit):
    arms = tuple(f"method-with-a-long-name-{i:03d}" for i in range(150))
    found = compare(run_suite(1, arms=arms, tasks=("rte",), examples=40), run_suite(2, arms=arms, tasks=("rte",), examples=40, shift=-3.0))
    text = to_markdown(found, limit=limit)
    assert len(text) <= limit and text.count("<details>") == text.count("</details>")
    if limit == 3000:
        assert "more lines (see the JSON output)" in text


def test_markdown_is_short_where_nothing_happened(run_suite):
    text = to_markdown(compare(run_suite(1), run_suite(1)))
    assert text.startswith("### ✅ PASS: 4 equivalent") and "4 unremarkable cells" in text


def test_annotations(lost):
    lines = to_annotations(lost).splitlines()
    assert all(re.match(r"::(error|warning|notice) title=[^:,]+::.+", line) for line in lines)
    assert sum(line.startswith("::error") for line in lines) == sum(bool(lost.code(cell)) for cell in lost.cells)


def test_annotations_are_capped(run_suite):
    arms = tuple(f"m{i}" for i in range(20))
    found = compare(run_suite(1, arms=arms, tasks=("rte",)), run_suite(2, arms=arms, tasks=("rte",), shift=-2.5))
    lines = to_annotations(found).splitlines()
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 10 and "more failing cells" in errors[-1]


def test_terminal_shows_the_figures_of_the_object(lost):
    text = shown(lost)
    cell = next(cell for cell in lost.cells if cell.label == "lora · rte")
    assert lost.headline in text and number(cell.estimate, 3, signed=True) in text
    assert number(cell.estimate, 3, signed=True) in sentence(cell, lost) and number(cell.estimate, 3, signed=True) in to_markdown(lost)


def test_large_comparisons_show_what_matters(run_suite):
    arms = tuple(f"m{i:02d}" for i in range(70))
    found = compare(
        run_suite(1, arms=arms, tasks=("rte",), examples=40),
        run_suite(1, arms=arms, tasks=("rte",), examples=40, change=lambda row: row.update(task_version=2 if row["arm"] == "m07" else 1)),
    )
    text, everything = shown(found), shown(found, everything=True)
    assert "m07" in text and "m08" not in text and "69 further cells" in text and "m08" in everything


def test_nothing_in_a_name_is_obeyed(hostile):
    assert "[red]x[/red]" in shown(hostile)
    markdown = to_markdown(hostile)
    assert "<script>" not in markdown and "@all" not in markdown
    root = ElementTree.fromstring(to_junit(hostile))
    assert any("<script>" in (case.get("name") or "") for case in root.iter("testcase"))
    annotations = to_annotations(hostile)
    assert "\n::error::" not in annotations and "%250A" in annotations
    assert HOSTILE in json.loads(to_json(hostile))["cells"][0]["label"]


def test_headline_says_when_nothing_could_be_tested(run_suite):
    found = compare(run_suite(1, seeds=(0,)), run_suite(2, seeds=(0,)))
    assert "NOTHING COULD BE TESTED" in found.headline
    with pytest.raises(InputError, match=r"gating: no cell fits x/\*"):
        compare(run_suite(1), run_suite(1), gating=["x/*"])
