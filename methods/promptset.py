"""PromptSet: prompts mined from Python source by syntactic rules, and linted like code (arXiv 2402.16932).

`harness lint PATH` reads Python source (never importing it) and task YAML files, finds the prompts in them by seven detectors, and
holds each to numbered rules: docs/lint.md. The parts are in methods/linting/.
Nearest neighbours: ruff and flake8 (code, not prompts), vale and codespell (prose, not placeholders).
Departs from the released code, which evaluates expressions of crawled files with `eval`: ours are folded over the syntax tree; see
linting/find.py for what each detector takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness.claims import Arm, Share
from harness.registry import tool

from .linting import measure
from .linting.lint import Linted, chosen_rules, lint_paths


@tool("promptset", paper="arXiv:2402.16932", command="harness lint PATH", tags=("text", "templates", "lint"))
class PromptSet:
    """Finds prompts in source files and lints them; `lint` is what the command calls."""

    measures: ClassVar[Mapping[str, Callable[..., np.ndarray]]] = measure.MEASURES

    def lint(self, *paths: Path, select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Linted:
        """Findings about the prompts under `paths`, by the rules selected."""
        return lint_paths(list(paths), chosen_rules(select, ignore))


DETECTOR = Arm("promptset", {"detector": "promptset"})
claims = [
    Share("precision", "what the detectors find are prompts: precision of at least 0.95", arm=DETECTOR, measure="precision", at_least=0.95),
    Share(
        "recall", "the detectors find at least 0.9 of the prompts in the places they cover", arm=DETECTOR, measure="recall", at_least=0.9
    ),
    Share(
        "above-newline-strings",
        'syntactic detectors tell prompts from other strings better than "assigned, with a newline"',
        arm=DETECTOR,
        against=Arm("promptset", {"detector": "newline-in-string"}),
        measure="right",
    ),
    Share(
        "above-triple-quoted",
        "syntactic detectors tell prompts from other strings better than a regular expression for triple-quoted strings",
        arm=DETECTOR,
        against=Arm("promptset", {"detector": "triple-quoted"}),
        measure="right",
    ),
    Share(
        "above-all-strings",
        "syntactic detectors tell prompts from other strings better than taking all strings of more than two spaces",
        arm=DETECTOR,
        against=Arm("promptset", {"detector": "all-strings"}),
        measure="right",
    ),
    Share("fixes-once", "correcting a corrected prompt changes nothing", arm=Arm("promptset"), measure="idempotent", at_least=1),
]
