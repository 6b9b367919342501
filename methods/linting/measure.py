"""How often detectors and rules are right, case by case, so that intervals and paired tests can be made of it.

Every function gives a bool array [cases] of the part asked for; the figures that are published are of the part "test", and nothing was
chosen by looking at it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from .corpus import UNCOVERED, Label, LabelledFile, Part, corpus, real_prompts
from .find import find
from .rules import fix_edges, fix_indentation, fix_spelling

Spans = list[tuple[int, int]]  # first and last line of what a detector takes for a prompt
TRIPLE = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'', re.DOTALL)


def promptset(source: str) -> Spans:
    return [(prompt.line, prompt.last_line) for prompt in find(source, Path("x.py"))]


def triple_quoted(source: str) -> Spans:
    """A regular expression for triple-quoted strings."""
    starts = ((found, source.count("\n", 0, found.start()) + 1) for found in TRIPLE.finditer(source))
    return [(line, line + found.group().count("\n")) for found, line in starts]


def newline_in_string(source: str) -> Spans:
    """Strings with a newline that are assigned to a name (upstream's commented heuristic)."""
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and "\n" in str(node.value.value)
    ]


def all_strings(source: str) -> Spans:
    """All strings with more than two spaces (upstream's other heuristic)."""
    return [place for place, text in literals(source) if text.count(" ") > 2]


DETECTORS: dict[str, Callable[[str], Spans]] = {
    "promptset": promptset,
    "triple-quoted": triple_quoted,
    "newline-in-string": newline_in_string,
    "all-strings": all_strings,
}


def literals(source: str) -> list[tuple[tuple[int, int], str]]:
    """Lines and text of every string literal; an f-string is one."""
    found: list[tuple[tuple[int, int], str]] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) for part in node.values if isinstance(part, ast.Constant))
            found.append(((node.lineno, node.end_lineno or node.lineno), "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(((node.lineno, node.end_lineno or node.lineno), node.value))
        else:
            waiting += ast.iter_child_nodes(node)
    return sorted(found)


@cache
def _found(detector: str, part: Part) -> tuple[tuple[LabelledFile, Spans], ...]:
    return tuple((file, DETECTORS[detector](file.source)) for file in corpus(part))


def _touches(span: tuple[int, int], label: Label) -> bool:
    return span[0] <= label.last and label.first <= span[1]


def precision(detector: str = "promptset", part: Part = "test") -> np.ndarray:
    """bool [found]: whether each string that was found is a prompt."""
    return np.array(
        [any(_touches(span, label) for label in file.labels if label.prompt) for file, spans in _found(detector, part) for span in spans]
    )


def by_form(detector: str = "promptset", part: Part = "test") -> dict[str, list[bool]]:
    """form -> whether each string of that form was taken for a prompt."""
    found: dict[str, list[bool]] = {}
    for file, spans in _found(detector, part):
        for label in file.labels:
            found.setdefault(label.form, []).append(any(_touches(span, label) for span in spans))
    return found


def recall(detector: str = "promptset", part: Part = "test") -> np.ndarray:
    """bool [prompts in covered forms]: whether each was found."""
    return np.array([hit for file, spans in _found(detector, part) for label, hit in _hits(file, spans) if label.form not in UNCOVERED])


def recall_everywhere(detector: str = "promptset", part: Part = "test") -> np.ndarray:
    """bool [prompts]: whether each was found, those in forms that no detector covers among them."""
    return np.array([hit for file, spans in _found(detector, part) for _, hit in _hits(file, spans)])


def _hits(file: LabelledFile, spans: Spans) -> list[tuple[Label, bool]]:
    return [(label, any(_touches(span, label) for span in spans)) for label in file.labels if label.prompt]


def right(detector: str = "promptset", part: Part = "test") -> np.ndarray:
    """bool [string literals of more than a word]: whether each is rightly taken for a prompt or rightly not."""
    answers = []
    for file, spans in _found(detector, part):
        wanted = [label for label in file.labels if label.prompt]
        for place, text in literals(file.source):
            if len(text.split()) > 1:
                prompt = any(_touches(place, label) for label in wanted)
                answers.append(prompt == any(first <= place[1] and place[0] <= last for first, last in spans))
    return np.array(answers)


def idempotent(part: Part = "test") -> np.ndarray:
    """bool [real prompts x fixers]: whether a corrected prompt stays as it is when corrected again."""
    fixers = (fix_edges, fix_spelling, fix_indentation)
    return np.array([fix(fix(text)) == fix(text) for text in real_prompts(part) for fix in fixers])


MEASURES: Mapping[str, Callable[..., np.ndarray]] = {
    "precision": precision,
    "recall": recall,
    "recall-everywhere": recall_everywhere,
    "right": right,
    "idempotent": idempotent,
}
