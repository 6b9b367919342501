"""Recipe of a small causal model that answers in written steps: sums, facts about invented people, sums over such facts.

It stands in for a language model that reasons step by step and errs in two ways that programs can mend: it computes wrongly, and it
does not know or misremembers. It reads no question that the tasks may ask (tasks/world_tools.py: `kept`), and of the people's facts
only those of half of the people; on a quarter of them it learns to decline (`group`).

    python -m harness.methods.tiny_step_writer --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import pretraining, tokenizer
from harness.tasks.world.episodes import Document, Segment
from harness.tasks.world.meaning import Sampler
from harness.tasks.world_tools import DECLINED, StepsTask, WorldKnowledge, WorldSums, WorldWealth, group, kept, people
from transformers import LlamaConfig, LlamaForCausalLM

from harness.registry import recipe

from .pretraining import SIZES, Schedule, Shape, command, save, say, train, weighted_loss

SHAPE = Shape(128, 3, 4)
SHARES = ((WorldSums, 0.4), (WorldKnowledge, 0.35), (WorldWealth, 0.25))


def build(size: str = "tiny") -> LlamaForCausalLM:
    shape = SHAPE if size == "tiny" else SIZES[size]
    config = LlamaConfig(
        vocab_size=tokenizer.SIZE, hidden_size=shape.width, num_hidden_layers=shape.layers, num_attention_heads=shape.heads, intermediate_size=2 * shape.width,
        max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=tokenizer.BOS, eos_token_id=tokenizer.EOS, pad_token_id=tokenizer.PAD,
    )  # fmt: skip
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")  # type: ignore[no-any-return]


class Steps:
    """Documents of one solved problem each, none of a question that is kept for the tasks."""

    def __init__(self) -> None:
        self.tasks: list[StepsTask] = [cls() for cls, _ in SHARES]
        self.shares = np.cumsum([share for _, share in SHARES])

    def __call__(self, sampler: Sampler) -> tuple[Document, bool]:
        at = int(np.searchsorted(self.shares, sampler.rng.random(), side="right"))
        for question, steps, answer in self.tasks[at].problems(sampler):
            told = self.told(question, steps, answer)
            if told is not None and not kept(question):
                return [
                    Segment(f"question: {question} answer:"),
                    Segment(told, answer=True, known=True),
                    Segment("\n", answer=True, glued=True, known=True),
                ], True
        raise AssertionError

    @staticmethod
    def told(question: str, steps: list[str], answer: str) -> str | None:
        """The answer as it is to be learnt; None of people whose facts are not to be read."""
        asked = {group(" ".join(step.split()[:2])) for step in steps if " ".join(step.split()[:2]) in people()}
        if not asked or asked == {"known"}:
            return f"{' '.join(steps)} the answer is {answer}."
        return DECLINED if asked == {"declined"} and len(steps) == 1 else None


def loss_of(model: LlamaForCausalLM, source: Steps, seed: int, step: int) -> torch.Tensor:
    batch = pretraining.causal_batch(source, seed, step, rows=16, length=96)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)])
    return weighted_loss(logits, batch.targets, batch.weights)


@recipe("tiny-step-writer", family="causal_lm", reads=("harness.tasks",), tags=("text", "pretraining", "steps"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 1100,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`."""
    torch.manual_seed(seed)
    model = build(size)
    train(
        model, partial(loss_of, model, Steps(), seed), Schedule(steps), out,
        checkpoints=checkpoints, save=partial(save, model, "causal"), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
