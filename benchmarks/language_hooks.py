"""What the programs of `language-hooks` do to answers that need two facts and a sum, and what the shipped writer gets right without them:
the tables of docs/language-hooks.md.

    python -m benchmarks.language_hooks [--rows 300] [--write docs/language-hooks.md]

Asked are rows of the pools, which train and dev are drawn from; never a test row. `--write` replaces what stands between the page's two
marks, so that no figure in the tables is typed by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from harness.methods.hooks.hook import split
from harness.methods.hooks.loop import Answer
from harness.methods.language_hooks import HookedWriter, LanguageHooks
from harness.tasks.world_tools import StepsTask, WorldKnowledge, WorldSums, WorldWealth, fact, group

from harness.backbones.load import load
from harness.costs import Meter
from harness.seeds import Streams
from harness.task import Row, TaskData
from harness.text import filtered
from harness.training import Run

BEGIN, END = "<!-- tables: benchmarks/language_hooks.py -->", "<!-- end of tables -->"
ARMS: tuple[tuple[str, ...], ...] = ((), ("calculator",), ("retriever",), ("calculator", "retriever"))
SEED = 100  # of the stream `noise`; claims report on seeds from 0
ASKED = re.compile(r"how many coins have (\w+ \w+) and (\w+ \w+) together\?")
EQUATION = re.compile(r"(\d+) \+ (\d+) = (\d+)\.")
ROWS = (
    "both facts right before any program ran",
    "the retriever ran",
    "it put a wrong fact right",
    "it left a fact wrong, or made it so",
    "both facts right at the end",
    "the sum is of the two written numbers",
    "the calculator ran",
    "the sum is right",
    "the answer is right",
)


def answers(task: StepsTask, rows: Sequence[Row], hooks: Sequence[str]) -> list[Answer]:
    """The step writer's answers with these programs, each with the trace of what ran."""
    backbone = load("tiny-step-writer")
    run = Run(Streams(dict.fromkeys(("data", "demos", "init", "order", "noise"), SEED)), meter=Meter())
    writer = LanguageHooks(hooks=list(hooks)).adapt(backbone, TaskData(task, (), (), tuple(rows)), run)
    assert isinstance(writer, HookedWriter)
    writer.predict([row.example for row in rows])
    return writer.answers


def judged(row: Row, answer: Answer) -> dict[str, bool]:
    """Each line of `ROWS` of one answer: what its sentences say against the facts, and what the programs changed."""
    asked = ASKED.match(row.inputs["question"])
    assert asked is not None
    truth = [fact(person, "coins") for person in asked.groups()]
    sentences = (split(answer.text) + [""] * 3)[:3]
    events = answer.hooks.trace
    retrieved = [event for event in events if event.hook == "retriever"]
    first = [next((event.before for event in events if event.sentence == place + 1), sentences[place]) for place in range(2)]
    about = [(event.before, event.after, truth[event.sentence - 1]) for event in retrieved if event.sentence <= 2]
    written = [found[0] if (found := re.findall(r"\d+", sentence)) else None for sentence in sentences[:2]]
    equation = EQUATION.match(sentences[2])
    return dict(
        zip(
            ROWS,
            (
                first == truth,
                bool(retrieved),
                any(before != true and after == true for before, after, true in about),
                any(after != true for _, after, true in about),
                sentences[:2] == truth,
                equation is not None and [equation[1], equation[2]] == written,
                any(event.hook == "calculator" for event in events),
                equation is not None and int(equation[1]) + int(equation[2]) == int(equation[3]),
                right(WorldWealth(), row, answer),
            ),
        )
    )


def shares(rows: Sequence[Row], hooks: Sequence[str]) -> Mapping[str, float]:
    found = [judged(row, answer) for row, answer in zip(rows, answers(WorldWealth(), rows, hooks))]
    return {line: float(np.mean([item[line] for item in found])) for line in ROWS}


def read_of(row: Row) -> bool:
    """Whether the writer read both people's facts in its training."""
    asked = ASKED.match(row.inputs["question"])
    assert asked is not None
    return {group(person) for person in asked.groups()} == {"known"}


def right(task: StepsTask, row: Row, answer: Answer) -> bool:
    return filtered(answer.text, task.answer_filter) == row.target


def alone(number: int) -> str:
    """What the writer gets right without any program, by task and by what it had read; declined answers count as wrong."""
    lines = []
    for task in (WorldSums(), WorldKnowledge(), WorldWealth()):
        rows = task.pool()[:number]
        found = answers(task, rows, ())
        kinds: dict[str, list[int]] = {"all": list(range(len(rows)))}
        for place, row in enumerate(rows if isinstance(task, WorldKnowledge) else ()):
            kinds.setdefault(group(" ".join(row.inputs["question"].split()[:2])), []).append(place)
        for kind, places in kinds.items():
            exact = np.mean([right(task, rows[i], found[i]) for i in places])
            declined = np.mean(["unknown" in found[i].text for i in places])
            lines.append([task.name, kind, str(len(places)), f"{exact:.2f}", f"{declined:.2f}"])
    return _table(["task", "people", "questions", "right", "declined"], lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def table(rows: Sequence[Row]) -> str:
    columns = {" + ".join(hooks) or "none": shares(rows, hooks) for hooks in ARMS}
    body = _table(["share of questions", *columns], [[line, *(f"{of[line]:.2f}" for of in columns.values())] for line in ROWS])
    known = np.mean([read_of(row) for row in rows])
    return f"{len(rows)} pool rows of version {WorldWealth.version}; the writer read both people's facts in {known:.2f} of them.\n\n{body}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = f"{table(WorldWealth().pool()[: options.rows])}\n\nThe writer without programs:\n\n{alone(options.rows)}"
    print(found)
    if options.write is not None:
        before, rest = options.write.read_text(encoding="utf-8").split(BEGIN)
        options.write.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
