"""The trend page: one self-contained HTML file, a sparkline per series with its levels, steps and limit, and the numbers beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, StrictUndefined

from .trends import Trend
from .wording import decimals, number

WIDTH, HEIGHT, PAD, LEFT = 640, 120, 10, 50

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #0072b2; --bad: #b3400e; --soft: #6b6b6b; --edge: #d0d0d0; }
@media (prefers-color-scheme: dark) { :root { --line: #6bb8e8; --bad: #ff9a66; --soft: #a8a8a8; --edge: #444; } }
body { font: 16px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 60rem; padding: 0 1rem; }
section { border-top: 1px solid var(--edge); padding: .75rem 0; }
h2 { font-size: 1.05rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; }
table { border-collapse: collapse; font-size: .85rem; } th, td { text-align: right; padding: .1rem .6rem; border-bottom: 1px solid var(--edge); }
th:first-child, td:first-child { text-align: left; } .bad { color: var(--bad); font-weight: 600; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
<p class="soft">Blue: runs (mean over seeds) and their level. Orange diamonds: steps for the worse. Vertical dashes: the environment or task version changed.
Dotted: the limit for the newest run. Levels and steps are by exact segmentation; steps are found with at most 5 % false alarms per series.</p>
{% for item in items %}
<section>
<h2>{{ item.label }} <span class="soft">{{ item.metric }}</span></h2>
<p class="soft">{{ item.block }}</p>
<p{% if item.bad %} class="bad"{% endif %}>{{ item.sentence }}</p>
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-labelledby="t{{ loop.index }}">
<title id="t{{ loop.index }}">{{ item.label }}: {{ item.sentence }}</title>
{% for y, text in item.axis %}<text x="0" y="{{ y }}" font-size="10" fill="var(--soft)">{{ text }}</text>{% endfor %}
{% for x in item.breaks %}<line x1="{{ x }}" x2="{{ x }}" y1="0" y2="{{ height }}" stroke="var(--soft)" stroke-dasharray="3 3"/>{% endfor %}
{% for x1, x2, y in item.levels %}<line x1="{{ x1 }}" x2="{{ x2 }}" y1="{{ y }}" y2="{{ y }}" stroke="var(--line)" stroke-width="2"/>{% endfor %}
{% if item.limit %}<line x1="{{ item.limit[0] }}" x2="{{ item.limit[1] }}" y1="{{ item.limit[2] }}" y2="{{ item.limit[2] }}" stroke="var(--bad)" stroke-dasharray="1 4" stroke-width="2"/>{% endif %}
{% for x, y, text in item.points %}<circle cx="{{ x }}" cy="{{ y }}" r="3" fill="var(--line)"><title>{{ text }}</title></circle>{% endfor %}
{% for x, y, text in item.steps %}<path d="M{{ x }} {{ y - 7 }}l6 7l-6 7l-6-7z" fill="none" stroke="var(--bad)" stroke-width="2"><title>{{ text }}</title></path>{% endfor %}
</svg>
<details><summary>{{ item.rows | length }} runs</summary><div class="scroll"><table>
<caption class="soft">{{ item.label }}</caption>
<thead><tr><th scope="col">commit</th><th scope="col">date</th><th scope="col">score</th><th scope="col">SE over seeds</th><th scope="col">seeds</th><th scope="col">failed</th><th scope="col">environment</th></tr></thead>
<tbody>{% for row in item.rows %}<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div></details>
</section>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class _Scale:
    """Positions of runs and scores in the drawing; a constant series lies in the middle."""

    n: int
    low: float
    high: float

    def x(self, position: float) -> float:
        return round(LEFT + position * (WIDTH - LEFT - PAD) / max(self.n - 1, 1), 1)

    def y(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(HEIGHT - PAD - share * (HEIGHT - 2 * PAD), 1)


def trend_page(trends: Sequence[Trend], *, title: str = "Score history") -> str:
    """The page. Every name and number is escaped by the template; nothing is loaded from elsewhere and nothing needs a script."""
    ordered = sorted(trends, key=lambda trend: (not trend.crossed, not _worse(trend), trend.series.label))
    crossed, stepped = sum(trend.crossed for trend in trends), sum(_worse(trend) for trend in trends)
    summary = f"{len(trends)} series. Newest run beyond its limit: {crossed}. Lasting step for the worse: {stepped}."
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(TEMPLATE)
    return template.render(title=title, summary=summary, items=[_item(trend) for trend in ordered], width=WIDTH, height=HEIGHT)


def _worse(trend: Trend) -> bool:
    return any(change.worse for change in trend.changes)


def describe(trend: Trend) -> str:
    """The newest run against its limit, and the steps for the worse, in words."""
    newest = trend.newest
    places = decimals(newest.se)
    if newest.score is None:
        text = f"the newest run ({newest.commit[:12]}) failed on all seeds"
    else:
        text = f"newest {number(newest.score, places)} ({newest.commit[:12]})"
    if trend.limit is not None:
        text += f", {'BEYOND' if trend.crossed else 'within'} the limit {number(trend.limit, places)} ({trend.limit_source})"
    else:
        text += f"; no limit: {trend.limit_source}"
    for change in trend.changes:
        first, last = trend.changed_between(change)
        kind = "worse" if change.worse else "better"
        text += f"; step {number(change.change, places, signed=True)} ({kind}) between {first[:12]} and {last[:12]}"
    return text


def _item(trend: Trend) -> dict[str, Any]:
    runs = trend.series.runs
    scores = [run.score for run in runs if run.score is not None]
    reach = scores + ([trend.limit] if trend.limit is not None else [])
    scale = _Scale(len(runs), min(reach, default=0.0), max(reach, default=1.0))
    places = decimals(max((run.se for run in runs if run.se), default=None))
    breaks = [
        i for i in range(1, len(runs)) if (runs[i].environment, runs[i].task_version) != (runs[i - 1].environment, runs[i - 1].task_version)
    ]
    rows = [
        (run.commit[:12], run.date, number(run.score, places), number(run.se, places + 1), run.n_ok, run.n_failed, run.environment)
        for run in runs
    ]
    return {
        "label": trend.series.label,
        "metric": trend.series.name["metric"],
        "block": trend.series.name["block"],
        "sentence": describe(trend),
        "bad": trend.crossed,
        "breaks": [scale.x(i - 0.5) for i in breaks],
        "levels": [(scale.x(level.start), scale.x(level.stop - 1), scale.y(level.value)) for level in trend.levels],
        "limit": (scale.x(trend.limit_start), scale.x(len(runs) - 1), scale.y(trend.limit)) if trend.limit is not None else None,
        "points": [
            (scale.x(i), scale.y(run.score), f"{run.commit[:12]} {run.date}: {number(run.score, places)}")
            for i, run in enumerate(runs)
            if run.score is not None
        ],
        "steps": [
            (scale.x(change.index), scale.y(change.after), f"step {number(change.change, places, signed=True)}") for change in trend.changes if change.worse
        ],
        "axis": [(scale.y(value) + 3, number(value, places)) for value in sorted({scale.low, scale.high})] if scores else [],
        "rows": rows,
    }  # fmt: skip
