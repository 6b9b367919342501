"""The comparison for other programs: JSON, JUnit XML, GitHub annotations."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

from .comparison import CellVerdict, Comparison
from .gates import BROKEN, INCOMPARABLE, MEANING, PASS
from .wording import cost_sentence, remarks, sentence

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MOST_ANNOTATIONS = 10  # GitHub shows that many errors and that many warnings per step


def to_json(comparison: Comparison) -> str:
    """All of it; undefined numbers are null, never NaN."""
    return json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(comparison: Comparison) -> str:
    """One test case per cell: failure where the gate fails it, error where it is broken, missing or incomparable, skipped where undecided."""
    cases = [(_case(cell, comparison), comparison.code(cell)) for cell in comparison.cells]
    if comparison.gate_costs:
        for change in comparison.costs:
            case = ElementTree.Element("testcase", classname="costs", name=clean(f"{change.label} {change.cost}"), time="0")
            if change.verdict == "dearer":
                ElementTree.SubElement(case, "failure", type="dearer", message=clean(cost_sentence(change)))
            cases.append((case, int(change.verdict == "dearer")))
    errors = sum(code in (BROKEN, INCOMPARABLE) for _, code in cases)
    skipped = sum(case.find("skipped") is not None for case, _ in cases)
    counts: dict[str, Any] = {
        "tests": len(cases),
        "failures": sum(code != PASS for _, code in cases) - errors,
        "errors": errors,
        "skipped": skipped,
    }
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "harness compare"} | {name: str(count) for name, count in counts.items()})
    suite.extend(case for case, _ in cases)
    ElementTree.SubElement(suite, "system-out").text = clean("\n".join([comparison.headline, *remarks(comparison)]))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(cell: CellVerdict, comparison: Comparison) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=clean(f"{cell.task}.{cell.metric}"), name=clean(cell.label), time="0")
    code, text = comparison.code(cell), clean(sentence(cell, comparison))
    if code != PASS:
        kind = "error" if code in (BROKEN, INCOMPARABLE) else "failure"
        ElementTree.SubElement(case, kind, type=cell.verdict, message=text).text = text
    elif cell.verdict in ("inconclusive", "incomparable"):
        ElementTree.SubElement(case, "skipped", message=text)
    else:
        ElementTree.SubElement(case, "system-out").text = text
    return case


def clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def to_annotations(comparison: Comparison) -> str:
    """GitHub workflow commands: an error for each failing cell, warnings for suspicions, a notice with the headline."""
    failing = [cell for cell in comparison.cells if comparison.code(cell)]
    errors = [("error", f"{cell.verdict}: {cell.label}", sentence(cell, comparison)) for cell in failing]
    if comparison.gate_costs:
        errors += [("error", f"dearer: {c.label}", cost_sentence(c)) for c in comparison.costs if c.verdict == "dearer"]
    warnings = [("warning", "common shift", line) for line in comparison.shift.sentences(comparison.changed_versions)]
    if not comparison.gate_costs:
        warnings += [("warning", f"dearer: {c.label}", cost_sentence(c)) for c in comparison.costs if c.verdict == "dearer"]
    notice = ("notice", f"harness compare: {MEANING[comparison.exit_code]}", comparison.headline)
    lines = [*_first(errors, "failing cells"), *_first(warnings, "warnings"), notice]
    return "".join(f"::{kind} title={_property(title)}::{_data(text)}\n" for kind, title, text in lines)


def _first(lines: list[tuple[str, str, str]], what: str) -> list[tuple[str, str, str]]:
    if len(lines) <= MOST_ANNOTATIONS:
        return lines
    left = len(lines) - MOST_ANNOTATIONS + 1
    return [*lines[: MOST_ANNOTATIONS - 1], (lines[0][0], f"{left} more", f"{left} more {what}: see the report")]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
