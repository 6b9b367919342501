"""The page in a real browser: it loads, sorts, filters, switches theme, baseline and metric, wide and narrow, without a console error."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from harness.reports.analysis import Options, analyse, digits
from harness.reports.command import write_report
from harness.reports.synthetic import Plan, synthetic_results

pytestmark = pytest.mark.browser
OPTIONS = Options(n_resamples=500, baselines=("method-02",))
PLAN = Plan(methods=6, tasks=6, failure_rate=0.02)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(synthetic_results(PLAN), folder, OPTIONS, figures=False)[-1]


def arms(browser: Any) -> list[str]:
    script = 'return Array.from(document.querySelectorAll("[data-role=board] tbody tr[data-arm]")).filter(r => r.offsetParent).map(r => DATA.families[0].arms[r.dataset.arm].name)'
    return browser.run(script)


def choose(browser: Any, tool: str, value: str) -> None:
    browser.run(
        'const e = document.querySelector(`[data-tool="${arguments[0]}"]`); e.value = arguments[1]; e.dispatchEvent(new Event("input", {bubbles: true}))',
        tool,
        value,
    )


def click_head(browser: Any, key: str, shift: bool = False) -> None:
    browser.run(
        'document.querySelector(`[data-key="${arguments[0]}"] button`).dispatchEvent(new MouseEvent("click", {bubbles: true, shiftKey: arguments[1]}))',
        key,
        shift,
    )


def aria(browser: Any, key: str) -> str:
    return browser.run('return document.querySelector(`[data-role=board] [data-key="${arguments[0]}"]`).getAttribute("aria-sort")', key)


@pytest.mark.parametrize("width", [1400, 400])
def test_loads_without_error_and_without_sideways_scrolling(browser: Any, index: Path, width: int) -> None:
    browser.size(width, 900)
    browser.open(index)
    assert browser.errors() == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert len(arms(browser)) == 6
    assert browser.run("return performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length") == 0


def test_sorting_by_one_and_several_keys(browser: Any, index: Path) -> None:
    browser.open(index)
    start = arms(browser)
    click_head(browser, "arm")
    assert arms(browser) == sorted(start) and aria(browser, "arm") == "ascending"
    click_head(browser, "arm")
    assert arms(browser) == sorted(start, reverse=True) and aria(browser, "arm") == "descending"
    click_head(browser, "arm")
    assert arms(browser) == start and aria(browser, "arm") == "none"
    click_head(browser, "tuning")
    click_head(browser, "arm", shift=True)
    trials = browser.run(
        "return Array.from(document.querySelectorAll('[data-role=board] tbody tr')).map(r => Number(r.cells[DATA_INDEX()].dataset.v)); function DATA_INDEX() { return Array.from(document.querySelectorAll('[data-role=board] thead th')).findIndex(t => t.dataset.key === 'tuning') }"
    )
    assert trials == sorted(trials)
    groups: dict[int, list[str]] = {}
    for name, n in zip(arms(browser), trials):
        groups.setdefault(n, []).append(name)
    assert all(names == sorted(names) for names in groups.values()) and len(groups) == 2
    assert aria(browser, "tuning") == "ascending" and aria(browser, "arm") == "ascending"


def test_sorting_by_keyboard(browser: Any, index: Path) -> None:
    browser.open(index)
    browser.run("document.querySelector('[data-key=arm] button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.cdp("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    assert aria(browser, "arm") == "ascending"


def test_filters_say_that_the_selection_is_descriptive(browser: Any, index: Path) -> None:
    browser.open(index)
    choose(browser, "search", "method-01")
    assert arms(browser) == ["method-01"]
    banner = "return document.querySelector('[data-role=descriptive]').textContent"
    assert "1 of 6 arms" in browser.run(banner)
    choose(browser, "search", "")
    choose(browser, "tag", "topic")
    shown = browser.run(
        "return Array.from(document.querySelectorAll('[data-role=board] thead th')).filter(t => /^c\\d/.test(t.dataset.key) && t.offsetParent).length"
    )
    assert shown == 1 and "not tested" in browser.run(banner)
    browser.run("document.querySelector('[data-tool=reset]').click()")
    choose(browser, "parameters", "5000")
    few = arms(browser)
    assert 0 < len(few) < 6


def test_permalink_restores_the_view(browser: Any, index: Path) -> None:
    browser.open(index)
    click_head(browser, "arm")
    click_head(browser, "arm")
    choose(browser, "metric", "macro-f1")
    choose(browser, "baseline", "0")
    address = browser.run("return location.hash")
    before = browser.run("return document.querySelector('[data-role=forest] tbody').textContent")
    cells = browser.run("return document.querySelector('[data-role=board] td.cell').textContent")
    browser.open(index, address)
    assert aria(browser, "arm") == "descending"
    assert browser.run("return document.querySelector('[data-role=forest] tbody').textContent") == before
    assert browser.run("return document.querySelector('[data-role=board] td.cell').textContent") == cells


def test_theme_switches_and_keeps_contrast(browser: Any, index: Path) -> None:
    browser.open(index)
    colours = []
    for _ in range(3):
        colours.append(
            browser.run(
                "return [document.querySelector('#theme').dataset.theme, getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            )
        )
        browser.run("document.querySelector('#theme').click()")
    assert [c[0] for c in colours] == ["auto", "light", "dark"]
    assert colours[1][1:] != colours[2][1:]
    for _, paper, ink in colours:
        assert contrast(paper, ink) > 7


def contrast(one: str, two: str) -> float:
    """WCAG contrast of two rgb() colours."""

    def luminance(text: str) -> float:
        parts = [int(v) / 255 for v in text[text.index("(") + 1 : -1].split(",")[:3]]
        r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_colours_reach_aa(browser: Any, index: Path, theme: str) -> None:
    browser.open(index)
    browser.run("document.documentElement.setAttribute('data-theme', arguments[0])", theme)
    script = """
    const style = getComputedStyle(document.documentElement), probe = document.body.appendChild(document.createElement('i'));
    const read = (name) => { probe.style.color = style.getPropertyValue(name); return getComputedStyle(probe).color; };
    return Object.fromEntries(['--paper', '--raised', '--ink', '--soft', '--accent', '--good', '--bad', '--good-wash', '--bad-wash', '--mark'].map(n => [n, read(n)]));
    """
    found = browser.run(script)
    pairs = [
        ("--ink", "--paper"),
        ("--ink", "--raised"),
        ("--soft", "--paper"),
        ("--soft", "--raised"),
        ("--accent", "--paper"),
        ("--bad", "--paper"),
    ]
    pairs += [("--good", "--good-wash"), ("--bad", "--bad-wash"), ("--ink", "--mark")]
    for text, ground in pairs:
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)


def test_baseline_shows_the_numbers_of_the_analysis(browser: Any, index: Path) -> None:
    """What the script draws for another baseline is what Python printed for that pair."""
    analysis = analyse(synthetic_results(PLAN), OPTIONS)
    family = analysis.families[0]
    order = [row.arm for row in family.standings]
    browser.open(index)
    for scope in ("here", "tasks"):
        for base in range(6):
            choose(browser, "scope", scope)
            choose(browser, "baseline", str(base))
            rows = browser.run(
                "return Array.from(document.querySelectorAll('[data-role=forest] tbody tr')).map(r => [r.cells[0], r.cells[1], r.cells[2], r.cells[4]].map(c => c.textContent.replace(' ≠', '')))"
            )
            assert len(rows) == 5
            for arm, difference, interval, p in rows:
                pair = next(pair for pair in family.pairs if {pair.a, pair.b} == {arm, order[base]})
                test, adjusted = (pair.here, pair.here_adjusted) if scope == "here" else (pair.tasks, pair.tasks_adjusted)
                if order[base] in family.baselines:
                    item = next(v for v in family.versus if v.arm == arm and v.baseline == order[base])
                    adjusted = item.here_adjusted if scope == "here" else item.tasks_adjusted
                sign = 1 if pair.a == arm else -1
                assert difference == digits.number(sign * test.estimate, family.places.difference, sign=True)
                ends = [digits.number(sign * end, family.places.difference, sign=True) for end in (test.ci_low, test.ci_high)[::sign]]
                assert interval == " to ".join(ends)
                assert p == digits.pvalue(adjusted)
    assert browser.errors() == []


def test_matrix_modes(browser: Any, index: Path) -> None:
    browser.open(index)
    texts = {}
    for mode in ("difference", "p", "effect", "bayes"):
        choose(browser, "matrix", mode)
        texts[mode] = browser.run("return document.querySelector('[data-role=matrix] tbody tr:nth-child(1) td:nth-child(3)').textContent")
    assert len(set(texts.values())) == 4 and texts["bayes"].count("/") == 2
    assert browser.errors() == []


def test_row_detail_and_hidden_columns(browser: Any, index: Path) -> None:
    browser.open(index)
    browser.run("document.querySelector('[data-role=board] tbody th button').click()")
    assert browser.run("return document.querySelectorAll('tr.detail tbody tr').length") == 6
    assert browser.run("return document.querySelector('tr.detail a').getAttribute('href')").startswith("examples/task-00.html#pair-")
    browser.run("document.querySelector('[data-role=board] tbody th button').click()")
    assert browser.run("return document.querySelectorAll('tr.detail').length") == 0
    browser.run(
        "const b = document.querySelector('[data-tool=columns] input[data-key=score]'); b.checked = false; b.dispatchEvent(new Event('change'))"
    )
    assert browser.run("return document.querySelector('[data-role=board] [data-key=score]').offsetParent === null")
    assert "hide=score" in browser.run("return decodeURIComponent(location.hash)")


def test_copies_and_downloads(browser: Any, index: Path) -> None:
    browser.open(index)
    table = browser.run(
        "const b = made.get(0).board; return [markdown(shownTable(b)), latex(shownTable(b)), csv(shownTable(b)), JSON.stringify(b.family)]"
    )
    assert table[0].count("\n") == 8 and "\\toprule" in table[1]
    rows = list(csv.reader(table[2].splitlines()))
    assert len(rows) == 7 and len({len(row) for row in rows}) == 1
    assert json.loads(table[3])["arms"][0]["name"] == arms(browser)[0]
    assert browser.run("return csvCell('=1+1') + csvCell('-0.5') + csvCell('−0.5') + csvCell('@x')") == "'=1+1-0.5-0.5'@x"
    browser.run("document.querySelector('[data-tool=csv]').click()")
    assert browser.errors() == []


def test_readable_without_script(browser: Any, index: Path) -> None:
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(index)
    tree = json.dumps(browser.cdp("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"])
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    assert "method-05" in tree and "What was asked, and the verdict" in tree
    browser.run("document.documentElement.classList.remove('js')")
    assert browser.run("return Array.from(document.querySelectorAll('.needs-js')).every(e => e.offsetParent === null)")


def test_print_opens_every_section(browser: Any, index: Path) -> None:
    browser.open(index)
    pdf = browser.cdp("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert len(pdf) > 20_000
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("return document.querySelectorAll('details:not([open])').length") == 0


@pytest.mark.slow
def test_a_large_page_opens_in_a_second(browser: Any, tmp_path: Path) -> None:
    from harness.reports.html import write_page

    analysis = analyse(synthetic_results(Plan(methods=76, tasks=30, examples=60)), Options(n_resamples=500))
    page = write_page(analysis, tmp_path)
    browser.cdp("Performance.enable", timeDomain="threadTicks")

    def busy() -> float:
        """Seconds of processor time of the page's main thread: elapsed time would measure the other work of this machine."""
        return next(m["value"] for m in browser.cdp("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")

    browser.open(page)
    assert 0.02 < busy() < 1  # the metric starts anew with every page; one that is not counted would pass any limit
    assert browser.errors() == []
