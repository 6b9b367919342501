"""How often `harness lint` finds prompts, and how often its rules find defects that were put into real prompts; writes docs/lint.md.

    python -m benchmarks.prompt_lint                      the figures of the test half
    python -m benchmarks.prompt_lint --part dev           of the half that rules may be developed on
    python -m benchmarks.prompt_lint --page docs/lint.md  the page with them and with every rule

Detectors: real prompts written into real modules of Python's library (methods/linting/corpus.py), against three simpler detectors, by
McNemar's test on the same strings. Rules: a defect is put into each of 400 real prompts that the rule does not complain of; recall is the
share it then complains of. How many real prompts it complains of as they are is shown beside it: those complaints are not labelled.
Needs the real prompts (HARNESS_TEST_DATA); which Python's library is used is printed.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from harness.methods.linting import measure
from harness.methods.linting.corpus import FORMS, HARD, HARD_EVERY, UNCOVERED, corpus, real_prompts
from harness.methods.linting.find import DETECTORS as FOUND_BY
from harness.methods.linting.find import find
from harness.methods.linting.rules import RULES, check
from harness.reports.statistics.intervals import proportion_interval
from harness.reports.statistics.rank_tests import mcnemar_scores

Part = Literal["dev", "test"]
Spoil = Callable[[str, np.random.Generator], str]
CASES = 400
BRACES = ("{", "}", '{"name": 1}')
FOREIGN = ("Ответьте на вопрос пользователя вежливо", "请用中文回答用户的问题", "Die Antwort ist auf der Seite und nicht mit dem Bild",
           "La respuesta es para el usuario y su pregunta", "Vous êtes un assistant et vous devez répondre avec les mots qui sont dans le texte")  # fmt: skip
TOKENS = ("<|endoftext|>", "<|im_start|>", "<|eot_id|>", "[INST]", "</s>", "<bos>", "<unk>", "[MASK]", "<end_of_turn>", "<extra_id_0>",
          "<｜User｜>", "<|start_header_id|>", "[gMASK]", "<pad>")  # fmt: skip


def source_of(text: str) -> str:
    return f"prompt = {text!r}\n"


def misspelt(text: str, rng: np.random.Generator) -> str:
    """One letter of one word of five letters or more is left out, doubled, or changes places with the next."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if word.isascii() and word.isalpha() and len(word) > 4]
    if not long:
        return text + " exmaple"
    at = int(rng.choice(long))
    word, place = words[at], int(rng.integers(1, len(words[at]) - 1))
    edits = (
        word[:place] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + word[place + 1] + word[place] + word[place + 2 :],
    )
    return " ".join([*words[:at], edits[int(rng.integers(3))], *words[at + 1 :]])


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def with_brace(text: str, rng: np.random.Generator) -> str:
    return f"{escaped(text)}\n{rng.choice(BRACES)}"


SPOILT: dict[str, Spoil] = {
    "PS001": lambda text, rng: source_of(text.strip() + " "),
    "PS002": lambda text, rng: f"prompt = {escaped(text) + ' {topic}'!r}.format(subject=1)\n",
    "PS003": lambda text, rng: source_of(misspelt(text, rng)),
    "PS004": lambda text, rng: source_of(f"{text.rstrip('.')}. {rng.choice(FOREIGN)}."),
    "PS005": lambda text, rng: source_of(f"{text} {rng.choice(TOKENS)}"),
    "PS006": lambda text, rng: source_of(text) + f"other_{source_of(text)}",
    "PS007": lambda text, rng: f"x = PromptTemplate.from_template({with_brace(text, rng)!r})\n",
    "PS008": lambda text, rng: 'prompt = """' + "\n".join(["Begin.", "", *(f"        {line}" for line in plain(text))]) + '"""\n',
}


def plain(text: str) -> list[str]:
    """A text as two lines or more that can stand between triple quotes."""
    words = text.replace("\\", "").replace('"', "'").split()
    return [" ".join(words[: len(words) // 2 + 1]), " ".join(words[len(words) // 2 + 1 :]) or "End."]


def complains(code: str, source: str) -> bool:
    return any(finding.rule == code for finding in check(find(source, Path("x.py")), [RULES[code]]))


def rule_recall(code: str, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """bool [cases] spoilt prompts complained of, and bool [prompts] real ones complained of as they are."""
    rng = np.random.default_rng([int(code[2:]), part == "test"])
    texts = [text for text in real_prompts(part) if find(source_of(text), Path("x.py"))]
    as_they_are = np.array([complains(code, source_of(text)) for text in texts])
    clean = [text for text, flagged in zip(texts, as_they_are) if not flagged]
    chosen = [clean[i] for i in rng.permutation(len(clean))[:CASES]]
    return np.array([complains(code, SPOILT[code](text, rng)) for text in chosen]), as_they_are


def share(cases: np.ndarray) -> str:
    """Share with its Wilson interval at 95%, and the number of cases."""
    low, high = proportion_interval(int(cases.sum()), len(cases)).interval
    return f"{cases.mean():.3f} [{low:.3f}, {high:.3f}] of {len(cases):,}"


def figures(part: Part) -> str:
    """The measured tables, as Markdown."""
    lines = [
        "| detector | precision | recall, covered forms | recall, all forms | strings told right | McNemar against promptset |",
        "|---|---|---|---|---|---|",
    ]
    own = measure.right("promptset", part)
    for name in measure.DETECTORS:
        right = measure.right(name, part)
        chance = mcnemar_scores(own.astype(float), right.astype(float)).pvalue
        test = "-" if name == "promptset" or chance is None else f"p = {chance:.2g}" if chance > 0 else "p < 1e-300"
        cells = [share(function(name, part)) for function in (measure.precision, measure.recall, measure.recall_everywhere)]
        lines.append(f"| {name} | {' | '.join([*cells, share(right), test])} |")
    forms = measure.by_form(part=part)
    lines += ["", "| form | taken for prompts | |", "|---|---|---|"]
    for about, group in (("covered", FORMS), ("not covered", UNCOVERED), ("no prompt", HARD)):
        lines += [f"| {form} | {sum(forms[form])} of {len(forms[form])} | {about} |" for form in group if form in forms]
    lines += ["", "| rule | defects found | real prompts complained of, as they are |", "|---|---|---|"]
    for code in SPOILT:
        found, as_they_are = rule_recall(code, part)
        lines.append(f"| {code} | {share(found)} | {share(as_they_are)} |")
    modules = len({file.name.partition("-")[2] for file in corpus(part)})
    return "\n".join(
        [f"Part `{part}`, {len(corpus(part))} files from {modules} modules of Python {platform.python_version()}.", "", *lines]
    )


def rules_markdown() -> str:
    """Every rule with its examples."""
    parts = []
    for rule in RULES.values():
        kind = "yaml" if rule.yaml else "python"
        parts += [f"### {rule.code} {rule.name} ({rule.severity})", "", rule.summary, rule.why, ""]
        parts += ["Bad:", "", f"```{kind}", rule.bad.rstrip("\n"), "```", "", "Good:", "", f"```{kind}", rule.good.rstrip("\n"), "```", ""]
    return "\n".join(parts)


def detectors_markdown() -> str:
    return "\n".join(["| detector | finds |", "|---|---|", *(f"| {name} | {about} |" for name, about in FOUND_BY.items())])


def page(measured: str) -> str:
    """docs/lint.md."""
    return PAGE.format(detectors=detectors_markdown(), rules=rules_markdown(), figures=measured, every=HARD_EVERY)


PAGE = """# Linting prompts

Written by `python -m benchmarks.prompt_lint --page docs/lint.md`; change the rules, not this page.

    harness lint PATH ...                     Python source (never imported) and task YAML, files or folders
    harness lint tasks --format github        text, json, sarif or github
    harness lint tasks --select PS001,PS002   codes, beginnings of codes (PS00) or names; --ignore leaves out
    harness lint tasks --fail-on error        what makes the exit code 1: error, warning (default), info, never
    harness lint --rules                      the rules in short

Exit codes: 0 no finding as bad as `--fail-on`, 1 at least one, 2 bad input. A file that cannot be parsed is the finding PS000.
`# noqa: PS003` in a line that a prompt stands on takes that rule's findings about it away, `# noqa` takes all.

## What is taken for a prompt

In Python, by PromptSet's seven detectors (arXiv 2402.16932). Strings are followed through names that are assigned once, through
concatenation, f-strings, `%`, `format`, `join`, `strip` and `dedent`, without running anything; what stays unknown becomes `{{name}}`.
Single words, paths and HTML are left out.

{detectors}

In task YAML files: each template's `text` or `promptsource`, and `prefix`, as Jinja over the task's fields.

## Rules

{rules}
## How good it is

Real prompts (PromptSet's, of 10 characters and more) written into real modules of Python's library, whose own strings are no prompts:
three in covered forms and one in a form that no detector covers to a file, and in every {every}th file a string that looks like a
prompt and is none. These numbers were set before anything was measured; precision depends on the last of them, so the table by
form is what to read for your own code. Half of prompts and modules were for development; the figures are of the other half. The hard
strings and the forms of code are the same in both halves. Intervals: Wilson, 95%.

Rules: a defect is put into each of up to 400 real prompts that the rule does not complain of. The misspellings are random slips of one
letter, of which a fixed list can know few: PS003 is for the common ones. Special tokens and foreign sentences come from a fixed list
that was not made from the rules. The last column says how common a complaint is; whether each is just was not labelled.

{figures}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("dev", "test"), default="test")
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    measured = figures(arguments.part)
    print(measured)
    if arguments.page is not None:
        arguments.page.write_text(page(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
