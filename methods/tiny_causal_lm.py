"""Recipe of the shipped causal model: a small Llama trained on episodes, prompted tasks and plain text of the world.

First short episodes and copied words (from which it learns to look back), then episodes of every kind, then prompted tasks, half of them with
label words drawn at random, at last in longer rows.

    python -m harness.methods.tiny_causal_lm --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import episodes, pretraining, prompted, tokenizer
from harness.tasks.world.meaning import Sampler
from transformers import LlamaConfig, LlamaForCausalLM

from harness.registry import recipe

from .pretraining import SIZES, Schedule, command, save, say, train, weighted_loss

SHORT_STEPS, EPISODE_STEPS, BARE_STEPS, LONG_STEPS = 600, 1250, 2250, 2900
"""Steps after which episodes of every kind begin, prompted tasks, label words that are no task's own, and rows twice as long."""


def build(size: str = "tiny") -> LlamaForCausalLM:
    """Stock Llama with tied embeddings; rotary positions, so that texts longer than those of training are in reach."""
    shape = SIZES[size]
    config = LlamaConfig(
        vocab_size=tokenizer.SIZE, hidden_size=shape.width, num_hidden_layers=shape.layers, num_attention_heads=shape.heads, intermediate_size=2 * shape.width,
        max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=tokenizer.BOS, eos_token_id=tokenizer.EOS, pad_token_id=tokenizer.PAD,
    )  # fmt: skip
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")  # type: ignore[no-any-return]  # the quickest on a CPU at these lengths


def batch_at(drawn: prompted.Prompted, seed: int, step: int) -> pretraining.CausalBatch:
    if step < SHORT_STEPS:
        source = pretraining.episodes_and_text(0.5, partitions=episodes.SHORT, copied_share=0.6)
    elif step < EPISODE_STEPS:
        source = pretraining.episodes_and_text(0.2, copied_share=0.1)
    else:
        long, bare = step >= LONG_STEPS, step >= BARE_STEPS
        source = pretraining.everything(
            drawn, prompted_share=0.6, labelled_share=0.2, told_share=0.08, words=170 if long else 110, renamed=0.5, free=0.5,
            bare=bare, partitions=episodes.CLAUSES if bare else episodes.PARTITIONS,
        )  # fmt: skip
        return pretraining.causal_batch(source, seed, step, rows=12 if long else 24, length=256 if long else 128)
    return pretraining.causal_batch(source, seed, step, rows=20, length=128)


def loss_of(model: LlamaForCausalLM, drawn: prompted.Prompted, seed: int, step: int) -> torch.Tensor:
    """Weighted cross-entropy of the next token at the positions that count; no others are projected to the vocabulary."""
    batch = batch_at(drawn, seed, step)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)])
    return weighted_loss(logits, batch.targets, batch.weights)


@torch.no_grad()
def probe(model: LlamaForCausalLM) -> dict[str, float]:
    """Accuracy on the last four answers of new episodes of twelve items, by partition; chance is about 0.4."""
    result = {}
    for maker, _ in episodes.PARTITIONS:
        sampler = Sampler(np.random.default_rng([404, len(maker.__name__)]))
        right = total = 0
        for _ in range(24):
            document = episodes.episode(sampler, items=12, partitions=((maker, 1.0),))
            tokens = pretraining.encode(document, sampler, labelled=True)
            answers = [i for i, weight in enumerate(tokens.weights) if weight == pretraining.ANSWER_WEIGHT][-4:]
            ids = [tokenizer.BOS, *tokens.ids]
            guesses = model(torch.tensor([ids])).logits[0].argmax(-1)
            right += sum(int(guesses[i]) == ids[i + 1] for i in answers)
            total += len(answers)
        result[maker.__name__] = right / total
    return result


@recipe("tiny-causal-lm", family="causal_lm", reads=("harness.tasks",), tags=("text", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 3600,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`."""
    torch.manual_seed(seed)
    model = build(size)
    train(
        model, partial(loss_of, model, prompted.Prompted(), seed), Schedule(steps, decay=0.55), out,
        probe=partial(probe, model), checkpoints=checkpoints, save=partial(save, model, "causal"), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
