"""The loop that pretrains the tiny models: constant rate after a warm-up, linear decay at the end, resumable to the bit.

Batches depend on (seed, step) alone and there is no dropout, so weights, optimiser state and the step are all there is to save.
The rate is constant up to the decay: a run that is resumed with fewer steps, before its decay began, equals one that was started with them.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.tasks.world import prompted, tokenizer
from harness.tasks.world.meaning import Sampler
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.templates import Rendered

Loss = Callable[[int], torch.Tensor]
"""Step -> the loss of that step's batch."""
Probe = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: `warmup` steps up, the last `decay` share of the steps down to zero.

    query_rate : for T5's query matrices, whose products with keys are not divided by the root of the head's width.
    """

    steps: int
    rate: float = 4e-3
    matrix_rate: float = 0.02
    query_rate: float = 0.0035
    warmup: int = 50
    decay: float = 0.3
    weight_decay: float = 0.01

    def factor(self, step: int) -> float:
        left = (self.steps - step) / max(1, int(self.decay * self.steps))
        return min(1.0, (step + 1) / self.warmup, left)


class Optimiser:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases."""

    def __init__(self, model: torch.nn.Module, schedule: Schedule) -> None:
        inner: list[torch.nn.Parameter] = []
        queries: list[torch.nn.Parameter] = []
        outer: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and not any(
                part in name for part in ("embed", "shared", "lm_head", "decoder.weight", "relative_attention_bias")
            )
            (queries if ".q." in name else inner if matrix else outer).append(parameter)
        self.schedule = schedule
        self.parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(outer, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)]
        self.rates = [schedule.rate]
        for group, rate in ((inner, schedule.matrix_rate), (queries, schedule.query_rate)):
            if group:
                self.parts.append(torch.optim.Muon(group, lr=rate, weight_decay=schedule.weight_decay, momentum=0.95))
                self.rates.append(rate)

    def step(self, step: int) -> None:
        for part, rate in zip(self.parts, self.rates):
            for group in part.param_groups:
                group["lr"] = rate * self.schedule.factor(step)
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load(self, state: Sequence[dict[str, Any]]) -> None:
        for part, saved in zip(self.parts, state):
            part.load_state_dict(saved)


@dataclass(frozen=True)
class Shape:
    """Width, layers and heads of a model; inner widths follow from the width."""

    width: int
    layers: int
    heads: int


SIZES = {"tiny": Shape(192, 4, 6), "small": Shape(320, 6, 10), "medium": Shape(512, 8, 16)}


def weighted_loss(logits: torch.Tensor, targets: NDArray[np.int64], weights: NDArray[np.float32]) -> torch.Tensor:
    """Mean cross-entropy of logits [positions, vocabulary] under the positions' weights."""
    losses = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(targets), reduction="none")
    weight = torch.from_numpy(weights)
    return (losses * weight).sum() / weight.sum()


@torch.no_grad()
def word_accuracy(drawn: prompted.Prompted, logits: Callable[[Rendered], torch.Tensor]) -> dict[str, float]:
    """Accuracy of the most likely answer word, by task: 60 rows outside pool and test, the first template. logits : of a gap, [vocabulary]."""
    result, encode = {}, tokenizer.encoder()
    for task in drawn.tasks:
        if task.kind == "generation":
            continue
        sampler, right = Sampler(np.random.default_rng(404)), 0
        for _ in range(60):
            row = drawn.row(task, sampler)
            rendered = drawn.templates[task.name][0].render(row.inputs, task.labels)
            words = [encode(answer)[0] for answer in rendered.answers or ()]
            right += int(logits(rendered)[words].argmax()) == row.target
        result[task.name.removeprefix("world-")] = right / 60
    return result


def fast_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """The world's tokenizer for a kind of model, as transformers loads it."""
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    if kind == "masked":
        names |= {"cls_token": "<s>", "sep_token": "</s>"}
    longest = 1024 if kind == "causal" else 512
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.build(kind), model_max_length=longest, padding_side="left" if kind == "causal" else "right", **names
    )


def save(model: PreTrainedModel, kind: str, folder: Path) -> None:
    """Write model and tokenizer in hub format: weights as fp16, to be loaded as fp32."""
    copy.deepcopy(model).half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    fast_tokenizer(kind).save_pretrained(folder)


def command(pretrain: Callable[..., None]) -> None:
    """A recipe's command line."""
    parser = argparse.ArgumentParser(description=pretrain.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--size", choices=tuple(SIZES), default="tiny")
    parser.add_argument("--checkpoints", type=int, nargs="*", default=())
    parser.add_argument("--threads", type=int, default=1)
    given = vars(parser.parse_args())
    torch.set_num_threads(given.pop("threads"))
    pretrain(given.pop("out"), **{name: value for name, value in given.items() if value is not None})


def say(message: str) -> None:
    print(message, flush=True)


def train(
    model: torch.nn.Module, loss_of: Loss, schedule: Schedule, out: Path, *,
    probe: Probe | None = None, probe_every: int = 250, save_every: int = 250, checkpoints: Iterable[int] = (),
    save: Callable[[Path], None] | None = None, log: Callable[[str], None] = say, stop_at: int | None = None,
    point: Callable[[int, float], None] | None = None, point_every: int = 10, curve: list[dict[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Train to the end of the schedule (or to `stop_at`), going on from `out/state.pt` where there is one.

    save : writes the model for use; called for each step in `checkpoints` with `out/step-N`.
    point : told of the step and the running loss every `point_every` steps and at the end; what it adds to `curve` is kept when resuming.
    """
    out.mkdir(parents=True, exist_ok=True)
    optimiser, state_file, start, spent = Optimiser(model, schedule), out / "state.pt", 0, 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load(state["optimiser"])
        start, spent = state["step"], state["seconds"]
        if curve is not None:
            curve[:] = state.get("curve", [])
        log(f"resumed at step {start}")
    wanted, began, running = set(checkpoints), time.monotonic(), None

    def keep(step: int) -> None:
        state = {"model": model.state_dict(), "optimiser": optimiser.state(), "step": step, "seconds": spent + time.monotonic() - began}
        if curve is not None:
            state["curve"] = curve
        torch.save(state, state_file.with_suffix(".new"))
        os.replace(state_file.with_suffix(".new"), state_file)

    for step in range(start, min(schedule.steps, stop_at or schedule.steps)):
        loss = loss_of(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step(step)
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        done = step + 1
        if done % 25 == 0:
            log(f"step {done} loss {running:.4f} seconds {spent + time.monotonic() - began:.0f}")
        if probe is not None and (done % probe_every == 0 or done == schedule.steps):
            log(f"step {done} probe " + json.dumps({name: round(value, 3) for name, value in probe().items()}))
        if point is not None and (done % point_every == 0 or done == schedule.steps):
            point(done, running)
        if done in wanted and save is not None:
            save(out / f"step-{done}")
        if done % save_every == 0 or done in (schedule.steps, stop_at):
            keep(done)
    if save is not None and stop_at is None:
        save(out / "model")
