"""What the shipped tiny models can do: zero-shot with held-out templates, demonstrations, and few-shot fine-tuning against random weights.

    python -m benchmarks.embedded_models zero-shot|demonstrations|fine-tuning [--seeds 10] [--rows 200] [--out results.json]
    python -m benchmarks.embedded_models tables results.json ... [--out docs/embedded-models.md]

The last prints the tables of docs/embedded-models.md, each with its goal judged, or puts them into the page between its marks.

Own, short code on purpose: it checks the models apart from the harness's methods. Intervals are t intervals over seeds (zero-shot: over parts of the test rows).
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.reports.statistics.intervals import mean_interval
from harness.tasks.world.prompted import answer_text, world_tasks
from harness.tasks.world.task import WorldTask
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from harness.task import Row
from harness.templates import Rendered, Template

SHIPPED = Path(__file__).parent.parent / "harness" / "backbones" / "shipped"
CLASSES = {"tiny-masked-lm": AutoModelForMaskedLM, "tiny-causal-lm": AutoModelForCausalLM, "tiny-encoder-decoder": AutoModelForSeq2SeqLM}
Prompt = tuple[str, str, tuple[str, ...], int]  # before, after, answers, target


@cache
def _loaded(folder: Path) -> tuple[Any, Any]:
    return CLASSES[folder.name].from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def load(name: str, *, random: bool = False, seed: int = 0) -> tuple[Any, Any]:
    """Model and tokenizer; `random` gives the same architecture with fresh weights."""
    model, tokenizer = _loaded(SHIPPED / name)
    if not random:
        return copy.deepcopy(model), tokenizer
    torch.manual_seed(seed)
    return CLASSES[name].from_config(AutoConfig.from_pretrained(SHIPPED / name)).eval(), tokenizer


def answer_logits(name: str, model: Any, tokenizer: Any, prompts: Sequence[Prompt]) -> torch.Tensor:
    """Logits [prompts, vocabulary] at the place of the answer."""
    if name == "tiny-masked-lm":
        batch = tokenizer(
            [f"{before} {tokenizer.mask_token}{after}" for before, after, _, _ in prompts],
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        rows, places = (batch["input_ids"] == tokenizer.mask_token_id).nonzero(as_tuple=True)
        assert len(rows) == len(prompts)
        filled_in: torch.Tensor = model.cls(model.bert(**batch).last_hidden_state[rows, places])
        return filled_in
    batch = tokenizer([before for before, _, _, _ in prompts], padding=True, truncation=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    if name != "tiny-causal-lm":
        batch["decoder_input_ids"] = torch.full((len(prompts), 1), model.config.decoder_start_token_id)
    logits: torch.Tensor = model(**batch, **({"logits_to_keep": 1} if name == "tiny-causal-lm" else {})).logits
    return logits[:, -1]


KNOWN: dict[str, int] = {}  # the three tokenizers have the same pieces


def words_of(tokenizer: Any, answers: Sequence[str]) -> list[int]:
    for answer in answers:
        if answer not in KNOWN:
            KNOWN[answer] = tokenizer(answer, add_special_tokens=False)["input_ids"][0]
    return [KNOWN[answer] for answer in answers]


def accuracy(name: str, model: Any, tokenizer: Any, prompts: Sequence[Prompt], batch: int = 50) -> float:
    """Share of prompts whose likeliest answer word is the right one."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            for row, (_, _, answers, target) in zip(answer_logits(name, model, tokenizer, part), part):
                right += int(row[words_of(tokenizer, answers)].argmax()) == target
    return right / len(prompts)


@torch.no_grad()
def accuracy_after(model: Any, tokenizer: Any, shown: str, prompts: Sequence[Prompt]) -> float:
    """Like `accuracy` of the causal model for prompts that all stand after the same text, which is read once."""
    first = tokenizer(shown, return_tensors="pt")["input_ids"]
    rest = [tokenizer(before, add_special_tokens=False)["input_ids"] for before, _, _, _ in prompts]
    ids = torch.full((len(rest), max(map(len, rest))), tokenizer.pad_token_id)
    for row, part in enumerate(rest):
        ids[row, : len(part)] = torch.tensor(part)
    cache = model(first, use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_repeat_interleave(len(rest))
    states = model.model(ids, past_key_values=cache).last_hidden_state  # what is padded on the right is seen by no earlier position
    logits = model.lm_head(states[torch.arange(len(rest)), torch.tensor([len(part) - 1 for part in rest])])
    return sum(int(row[words_of(tokenizer, answers)].argmax()) == target for row, (_, _, answers, target) in zip(logits, prompts)) / len(
        rest
    )


def prompt(template: Template, row: Row, task: WorldTask) -> Prompt:
    """A row under a template."""
    rendered = template.render(row.inputs, task.labels)
    return rendered.before, rendered.after, rendered.answers or (), row.target


def demonstrated(template: Template, task: WorldTask, shown: Iterable[Row]) -> str:
    """Rows under a template with their answers, a line each."""
    return "".join(filled(template.render(row.inputs, task.labels), row) + "\n" for row in shown)


def filled(rendered: Rendered, row: Row) -> str:
    return rendered.filled(answer_text(rendered, row))


def interval(values: Sequence[float]) -> list[float]:
    """Mean with its 95 % t interval over seeds (percentile bootstraps cover too little at ten)."""
    result = mean_interval(values)
    ends = (result.ci_low, result.ci_high) if result.ci_low is not None else (result.estimate, result.estimate)  # equal values
    return [round(float(number), 4) for number in (result.estimate, *ends)]


def scored_tasks() -> list[WorldTask]:
    return [task for task in world_tasks() if task.kind != "generation"]


def chance(task: WorldTask) -> float:
    return 1 / len(task.labels) if task.labels else float(task.floor or 0)


def sample(rows: Sequence[Row], number: int, rng: np.random.Generator) -> list[Row]:
    return [rows[i] for i in rng.permutation(len(rows))[:number]]


def balanced(task: WorldTask, number: int, rng: np.random.Generator) -> list[Row]:
    """Demonstrations, as many of each class as can be, in random order."""
    pool = sample(task.pool(), 600, rng)
    if not task.labels:
        return pool[:number]
    by_class = [[row for row in pool if row.target == label] for label in range(len(task.labels))]
    order = rng.permutation(len(by_class))
    rows = [by_class[order[i % len(order)]][i // len(order)] for i in range(number)]
    return [rows[i] for i in rng.permutation(number)]


def zero_shot(seeds: int, number: int, names: Sequence[str] = tuple(CLASSES)) -> dict[str, Any]:
    """Accuracy on `seeds` x `number` test rows by model, task and held-out template; a part per seed, so the interval is over parts."""
    result: dict[str, Any] = {}
    for name in names:
        model, tokenizer = load(name)
        for task in scored_tasks():
            rows = sample(task.test(), seeds * number, np.random.default_rng(1))
            for label, template in task.templates.items():
                if template.held_out and label != "code":
                    parts = [rows[start : start + number] for start in range(0, len(rows), number)]
                    values = [accuracy(name, model, tokenizer, [prompt(template, row, task) for row in part]) for part in parts]
                    result[f"{name} {task.name} {label}"] = {"chance": round(chance(task), 3), "accuracy": interval(values)}
                    print(f"{name} {task.name} {label}", result[f"{name} {task.name} {label}"], flush=True)
    return result


def demonstrations(seeds: int, number: int, shots: Sequence[int] = (0, 8)) -> dict[str, Any]:
    """The causal model with and without demonstrations, by task and held-out template; a seed draws rows and demonstrations."""
    result: dict[str, Any] = {}
    model, tokenizer = load("tiny-causal-lm")
    for task in scored_tasks():
        for label, template in task.templates.items():
            if not template.held_out or len(task.labels) > 8:
                continue
            scores: dict[int, list[float]] = {shot: [] for shot in shots}
            for seed in range(seeds):
                rng = np.random.default_rng([seed, 2])
                rows = sample(task.test(), number, rng)
                shown = balanced(task, max(shots), rng)
                prompts = [prompt(template, row, task) for row in rows]
                for shot in shots:
                    scores[shot].append(accuracy_after(model, tokenizer, demonstrated(template, task, shown[:shot]), prompts))
            gain = [after - before for before, after in zip(scores[shots[0]], scores[shots[-1]])]
            result[f"{task.name} {label}"] = (
                {"chance": round(chance(task), 3)}
                | {f"{shot}-shot": interval(values) for shot, values in scores.items()}
                | {"gain": interval(gain)}
            )
            print(f"{task.name} {label}", result[f"{task.name} {label}"], flush=True)
    return result


def tuned(name: str, task: WorldTask, seed: int, *, random: bool, rows: int, per_class: int = 16, steps: int = 40, batch: int = 8) -> float:
    """Prompt-based fine-tuning of all weights on `per_class` rows of each class (or 64), then accuracy on test rows."""
    rng = np.random.default_rng([seed, 3])
    template = next(template for template in task.templates.values() if template.held_out)
    pool = sample(task.pool(), len(task.pool()), rng)
    train = (
        [row for label in range(len(task.labels)) for row in [r for r in pool if r.target == label][:per_class]]
        if task.labels
        else pool[:64]
    )
    prompts = [prompt(template, row, task) for row in train]
    model, tokenizer = load(name, random=random, seed=seed)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3 if random else 5e-4, weight_decay=0.01, fused=True)
    for step in range(steps):
        part = [prompts[i] for i in rng.permutation(len(prompts))[:batch]]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = answer_logits(name, model, tokenizer, part)
        losses = [
            torch.nn.functional.cross_entropy(row[words_of(tokenizer, answers)], torch.tensor(target))
            for row, (_, _, answers, target) in zip(logits.float(), part)
        ]
        torch.stack(losses).mean().backward()
        for group in optimiser.param_groups:
            group["lr"] *= 1.0 if step < steps // 2 else 0.93
        optimiser.step()
        optimiser.zero_grad()
    return accuracy(name, model.eval(), tokenizer, [prompt(template, row, task) for row in sample(task.test(), rows, rng)])


def fine_tuning(
    seeds: int, number: int, names: Sequence[str], only: Sequence[str], result: dict[str, Any], keep: Callable[[], None]
) -> dict[str, Any]:
    """Few-shot fine-tuning from pretrained and from random weights, paired by seed; goes on from what `result` has, and calls `keep` after each task."""
    for name in names:
        for task in scored_tasks():
            if (only and task.name not in only) or f"{name} {task.name}" in result:
                continue
            pairs = [[tuned(name, task, seed, random=random, rows=number) for random in (False, True)] for seed in range(seeds)]
            key = f"{name} {task.name}"
            result[key] = {
                "chance": round(chance(task), 3),
                "pretrained": interval([a for a, _ in pairs]),
                "random": interval([b for _, b in pairs]),
            }
            result[key]["difference"] = interval([a - b for a, b in pairs])
            print(key, result[key], flush=True)
            keep()
    return result


def shown(values: Sequence[float], *, bold: bool = False) -> str:
    text = f"{values[0]:.2f} [{values[1]:.2f}, {values[2]:.2f}]"
    return f"**{text}**" if bold else text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def zero_shot_table(result: dict[str, Any]) -> str:
    """A row a task and template, a column a model; and on how many classification tasks each model is above chance."""
    names = [name for name in CLASSES if any(key.startswith(name + " ") for key in result)]
    kinds = {task.name: task.kind for task in scored_tasks()}
    keys = sorted({key.partition(" ")[2] for key in result})
    above: dict[str, set[str]] = {name: set() for name in names}
    rows = []
    for key in keys:
        task, template = key.split(" ")
        cells = []
        for name in names:
            entry = result[f"{name} {key}"]
            better = entry["accuracy"][1] > entry["chance"]
            if better and kinds[task] == "classification":
                above[name].add(task)
            cells.append(shown(entry["accuracy"], bold=better))
        rows.append([task, template, f"{result[f'{names[0]} {key}']['chance']:.2f}", *cells])
    total = sum(kind == "classification" for kind in kinds.values())
    counts = ", ".join(f"{name} {len(found)}" for name, found in above.items())
    goal = f"Classification tasks above chance with at least one held-out template, of {total}: {counts}."
    return goal + "\n\n" + table(["task", "held-out template", "chance", *names], rows)


def demonstrations_table(result: dict[str, Any]) -> str:
    """A row a task and template; and which tasks gain (what only comes back to chance is no gain) and lose."""
    moved: dict[bool, set[str]] = {True: set(), False: set()}
    rows = []
    for key, entry in sorted(result.items()):
        task, template = key.split(" ")
        first, last = [entry[name] for name in entry if name.endswith("-shot")]
        up, down = entry["gain"][1] > 0 and last[1] > entry["chance"], entry["gain"][2] < 0
        if up or down:
            moved[up].add(task)
        rows.append([task, template, f"{entry['chance']:.2f}", shown(first), shown(last), shown(entry["gain"], bold=up)])
    goal = f"Gain with at least one template: {len(moved[True])} tasks ({', '.join(sorted(moved[True])) or 'none'}); "
    goal += f"loss with at least one: {len(moved[False])} ({', '.join(sorted(moved[False])) or 'none'})."
    return goal + "\n\n" + table(["task", "template", "chance", "0-shot", "8-shot", "gain"], rows)


def fine_tuning_table(result: dict[str, Any]) -> str:
    """A row a task, a column a model; and where the pretrained weights are not above random ones."""
    names = [name for name in CLASSES if any(key.startswith(name + " ") for key in result)]
    missed: dict[str, list[str]] = {name: [] for name in names}
    rows = []
    for task in sorted({key.split(" ")[1] for key in result}):
        cells, floor = [], ""
        for name in names:
            entry = result.get(f"{name} {task}")
            if entry is None:
                cells.append("not run")
                continue
            floor = f"{entry['chance']:.2f}"
            better = entry["difference"][1] > 0
            at_floor = all(entry[side][1] <= entry["chance"] for side in ("pretrained", "random"))
            if not better and not at_floor:
                missed[name].append(task)
            cells.append(
                f"{entry['pretrained'][0]:.2f} / {entry['random'][0]:.2f}; {shown(entry['difference'], bold=better)}" + ", floor" * at_floor
            )
        rows.append([task, floor, *cells])
    goal = " ".join(f"{name}: {'every task' if not tasks else 'not on ' + ', '.join(tasks)}." for name, tasks in missed.items())
    return f"Above random weights, or both at the floor. {goal}\n\n" + table(["task", "chance", *names], rows)


def tables(files: Sequence[Path]) -> dict[str, str]:
    """The tables of several result files, by what was measured; a later file's entries replace an earlier one's."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        content = json.loads(file.read_text())
        found.setdefault(content["what"], {}).update(content["result"])
    makers = {"zero-shot": zero_shot_table, "demonstrations": demonstrations_table, "fine-tuning": fine_tuning_table}
    return {what: makers[what](result) for what, result in found.items()}


def put(page: str, what: str, text: str) -> str:
    """`text` between the page's marks of `what`."""
    begin, end = f"<!-- {what}: benchmarks/embedded_models.py -->", f"<!-- end of {what} -->"
    before, mark, rest = page.partition(begin)
    _, close, after = rest.partition(end)
    if not mark or not close:
        raise SystemExit(f"the page has no {begin!r} .. {end!r}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("zero-shot", "demonstrations", "fine-tuning", "tables"))
    parser.add_argument("files", type=Path, nargs="*", help="of `tables`: what --out has written")
    parser.add_argument("--models", nargs="*", choices=tuple(CLASSES), default=tuple(CLASSES))
    parser.add_argument("--tasks", nargs="*", default=(), help="of fine-tuning: these alone")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="holds the models, one folder each, instead of the shipped ones")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.what == "tables":
        made = tables(given.files)
        if given.out is None:
            print("\n\n".join(made.values()))
            return
        page = given.out.read_text()
        for what, text in made.items():
            page = put(page, what, text)
        given.out.write_text(page)
        return
    global SHIPPED
    SHIPPED = given.folder or SHIPPED
    torch.set_num_threads(given.threads)
    began = time.monotonic()
    result: dict[str, Any] = {}

    def keep() -> None:
        if given.out:
            given.out.write_text(json.dumps({"what": given.what, "seeds": given.seeds, "rows": given.rows, "result": result}, indent=1))

    if given.what == "demonstrations":
        result = demonstrations(given.seeds, given.rows)
    elif given.what == "zero-shot":
        result = zero_shot(given.seeds, given.rows, given.models)
    else:
        if given.out and given.out.exists():
            result = json.loads(given.out.read_text())["result"]
        fine_tuning(given.seeds, given.rows, given.models, given.tasks, result, keep)
    keep()
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
