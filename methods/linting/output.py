"""Findings as text for people, JSON for programs, SARIF for code scanning, and GitHub's workflow commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .lint import Linted
from .prompts import Finding
from .rules import RULES

SARIF_LEVEL = {"error": "error", "warning": "warning", "info": "note"}
GITHUB_LEVEL = {"error": "error", "warning": "warning", "info": "notice"}


def as_text(linted: Linted) -> str:
    lines = [
        f"{f.file}:{f.line}:{f.column}: {f.rule} {f.severity}: {f.message}" + (f"; {f.hint}" if f.hint else "") for f in linted.findings
    ]
    return "\n".join([*lines, summary(linted)])


def summary(linted: Linted) -> str:
    """One line: what was read, found and left out."""
    counts = [
        f"{number} {severity}{'s' if number != 1 and severity != 'info' else ''}"
        for severity in ("error", "warning", "info")
        if (number := sum(finding.severity == severity for finding in linted.findings))
    ]
    read = f"{linted.prompts} prompts in {linted.files} files: {', '.join(counts) or 'no findings'}"
    return read + (f", {linted.suppressed} suppressed" if linted.suppressed else "")


def as_json(linted: Linted) -> str:
    findings = [{**vars(finding), "file": str(finding.file)} for finding in linted.findings]
    counts = {"files": linted.files, "prompts": linted.prompts, "suppressed": linted.suppressed}
    return json.dumps({**counts, "findings": findings}, indent=1, ensure_ascii=False)


def as_sarif(linted: Linted) -> str:
    """SARIF 2.1.0, one run; code scanning of GitHub and others reads it."""
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.summary},
            "fullDescription": {"text": rule.why},
            "defaultConfiguration": {"level": SARIF_LEVEL[rule.severity]},
        }
        for rule in RULES.values()
    ]
    driver = {"name": "harness lint", "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_sarif_result(finding) for finding in linted.findings]}],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _sarif_result(finding: Finding) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": finding.file.as_posix()},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    text = finding.message + (f"; {finding.hint}" if finding.hint else "")
    return {
        "ruleId": finding.rule,
        "level": SARIF_LEVEL[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def as_github(linted: Linted) -> str:
    """Workflow commands, by which findings stand beside the lines of a pull request."""
    return "\n".join(
        f"::{GITHUB_LEVEL[f.severity]} file={_property(f.file.as_posix())},line={f.line},col={f.column},title={f.rule}::"
        + _escaped(f.message + (f"; {f.hint}" if f.hint else ""))
        for f in linted.findings
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Linted], str]] = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
