"""What the shipped tiny models can do: zero-shot with held-out templates, demonstrations, and few-shot fine-tuning against random weights.

    python -m benchmarks.embedded_models zero-shot|demonstrations|fine-tuning [--seeds 10] [--rows 200] [--out results.json]

Own, short code on purpose: it checks the models apart from the harness's methods. Intervals are percentile bootstraps over seeds (zero-shot: over parts of the test rows).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.tasks.world.prompted import answer_text, world_tasks
from harness.tasks.world.task import WorldTask
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from harness.task import Row
from harness.templates import Rendered, Template

SHIPPED = Path(__file__).parent.parent / "harness" / "backbones" / "shipped"
CLASSES = {"tiny-masked-lm": AutoModelForMaskedLM, "tiny-causal-lm": AutoModelForCausalLM, "tiny-encoder-decoder": AutoModelForSeq2SeqLM}
Prompt = tuple[str, str, tuple[str, ...], int]  # before, after, answers, target


def load(name: str, *, random: bool = False, seed: int = 0) -> tuple[Any, Any]:
    """Model and tokenizer; `random` gives the same architecture with fresh weights."""
    folder = SHIPPED / name
    if random:
        torch.manual_seed(seed)
        model = CLASSES[name].from_config(AutoConfig.from_pretrained(folder))
    else:
        model = CLASSES[name].from_pretrained(folder)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def answer_logits(name: str, model: Any, tokenizer: Any, prompts: Sequence[Prompt]) -> torch.Tensor:
    """Logits [prompts, vocabulary] at the place of the answer."""
    if name == "tiny-masked-lm":
        batch = tokenizer(
            [f"{before} {tokenizer.mask_token}{after}" for before, after, _, _ in prompts],
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        logits = model(**batch).logits
        rows, places = (batch["input_ids"] == tokenizer.mask_token_id).nonzero(as_tuple=True)
        assert len(rows) == len(prompts)
        return logits[rows, places]
    batch = tokenizer([before for before, _, _, _ in prompts], padding=True, truncation=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    if name == "tiny-causal-lm":
        return model(**batch).logits[:, -1]
    start = torch.full((len(prompts), 1), model.config.decoder_start_token_id)
    return model(**batch, decoder_input_ids=start).logits[:, 0]


def words_of(tokenizer: Any, answers: Sequence[str]) -> list[int]:
    return [tokenizer(answer, add_special_tokens=False)["input_ids"][0] for answer in answers]


def accuracy(name: str, model: Any, tokenizer: Any, prompts: Sequence[Prompt], batch: int = 50) -> float:
    """Share of prompts whose likeliest answer word is the right one."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            for row, (_, _, answers, target) in zip(answer_logits(name, model, tokenizer, part), part):
                right += int(row[words_of(tokenizer, answers)].argmax()) == target
    return right / len(prompts)


def prompt(template: Template, row: Row, task: WorldTask, shown: Iterable[Row] = ()) -> Prompt:
    """A row under a template, after filled-in demonstrations."""
    before = "".join(filled(template.render(other.inputs, task.labels), other) + "\n" for other in shown)
    rendered = template.render(row.inputs, task.labels)
    return before + rendered.before, rendered.after, rendered.answers or (), row.target


def filled(rendered: Rendered, row: Row) -> str:
    return rendered.filled(answer_text(rendered, row))


def interval(values: Sequence[float]) -> list[float]:
    """Mean with a 95 % bootstrap interval over seeds."""
    array = np.asarray(values)
    means = array[np.random.default_rng(0).integers(0, len(array), (2000, len(array)))].mean(1)
    return [round(float(number), 4) for number in (array.mean(), *np.percentile(means, (2.5, 97.5)))]


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
                for shot in shots:
                    scores[shot].append(
                        accuracy("tiny-causal-lm", model, tokenizer, [prompt(template, row, task, shown[:shot]) for row in rows])
                    )
            gain = [after - before for before, after in zip(scores[shots[0]], scores[shots[-1]])]
            result[f"{task.name} {label}"] = (
                {"chance": round(chance(task), 3)}
                | {f"{shot}-shot": interval(values) for shot, values in scores.items()}
                | {"gain": interval(gain)}
            )
            print(f"{task.name} {label}", result[f"{task.name} {label}"], flush=True)
    return result


def tuned(name: str, task: WorldTask, seed: int, *, random: bool, rows: int, per_class: int = 16, steps: int = 60) -> float:
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
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3 if random else 5e-4, weight_decay=0.01)
    for step in range(steps):
        part = [prompts[i] for i in rng.permutation(len(prompts))[:16]]
        logits = answer_logits(name, model, tokenizer, part)
        losses = [
            torch.nn.functional.cross_entropy(row[words_of(tokenizer, answers)], torch.tensor(target))
            for row, (_, _, answers, target) in zip(logits, part)
        ]
        torch.stack(losses).mean().backward()
        for group in optimiser.param_groups:
            group["lr"] *= 1.0 if step < steps // 2 else 0.93
        optimiser.step()
        optimiser.zero_grad()
    return accuracy(name, model.eval(), tokenizer, [prompt(template, row, task) for row in sample(task.test(), rows, rng)])


def fine_tuning(seeds: int, number: int, names: Sequence[str] = tuple(CLASSES)) -> dict[str, Any]:
    """Few-shot fine-tuning from pretrained and from random weights, paired by seed."""
    result: dict[str, Any] = {}
    for name in names:
        for task in scored_tasks():
            pairs = [[tuned(name, task, seed, random=random, rows=number) for random in (False, True)] for seed in range(seeds)]
            key = f"{name} {task.name}"
            result[key] = {
                "chance": round(chance(task), 3),
                "pretrained": interval([a for a, _ in pairs]),
                "random": interval([b for _, b in pairs]),
            }
            result[key]["difference"] = interval([a - b for a, b in pairs])
            print(key, result[key], flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("zero-shot", "demonstrations", "fine-tuning"))
    parser.add_argument("--models", nargs="*", choices=tuple(CLASSES), default=tuple(CLASSES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    began = time.monotonic()
    if given.what == "demonstrations":
        result = demonstrations(given.seeds, given.rows)
    else:
        result = (zero_shot if given.what == "zero-shot" else fine_tuning)(given.seeds, given.rows, given.models)
    print(f"{time.monotonic() - began:.0f} s")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
