"""Recipe of the shipped masked LM: a small BERT trained to fill gaps in plain and prompted text of the world.

python -m harness.methods.tiny_masked_lm --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import pretraining, prompted, tokenizer
from transformers import BertConfig, BertForMaskedLM

from harness.registry import recipe
from harness.templates import Rendered

from .pretraining import SIZES, Schedule, command, save, say, train, weighted_loss, word_accuracy


def build(size: str = "tiny") -> BertForMaskedLM:
    """Stock BERT without dropout; its positions start as sinusoids, so that near ones are alike from the first step on."""
    shape = SIZES[size]
    config = BertConfig(
        vocab_size=tokenizer.SIZE, hidden_size=shape.width, num_hidden_layers=shape.layers, num_attention_heads=shape.heads, intermediate_size=5 * shape.width // 2,
        max_position_embeddings=512, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=tokenizer.PAD,
    )  # fmt: skip
    model = BertForMaskedLM._from_config(config, attn_implementation="eager")
    angles = torch.arange(512.0)[:, None] * torch.exp(-torch.arange(0, shape.width, 2) * (np.log(10_000) / shape.width))
    with torch.no_grad():
        model.bert.embeddings.position_embeddings.weight.copy_(0.05 * torch.cat([angles.sin(), angles.cos()], 1))
    return model  # type: ignore[no-any-return]


FIRST_STEPS = 1500
"""Steps in which words, clauses and what they amount to weigh as much as prompts do; the sentence objective joins after them."""


def batch_at(drawn: prompted.Prompted, seed: int, step: int) -> pretraining.MaskedBatch:
    prompts, told = (0.35, 0.3) if step < FIRST_STEPS else (0.65, 0.15)
    source = pretraining.everything(
        drawn, prompted_share=prompts, labelled_share=0.0, told_share=told, most=2, words=50, renamed=0.0, free=0.5
    )
    return pretraining.masked_batch(source, seed, step, rows=24, length=96, density=0.15)


def loss_of(model: BertForMaskedLM, drawn: prompted.Prompted, seed: int, step: int) -> torch.Tensor:
    """Filling gaps, and telling a sentence's words in another language from its mean state."""
    batch = batch_at(drawn, seed, step)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.bert(
            input_ids=torch.from_numpy(batch.ids), attention_mask=torch.from_numpy(batch.mask), position_ids=torch.from_numpy(batch.places)
        ).last_hidden_state
        logits = model.cls(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)])
    loss = weighted_loss(logits, batch.targets, batch.weights)
    return loss if step < FIRST_STEPS else loss + 0.05 * sentence_loss(model, seed, step)


def sentence_loss(model: BertForMaskedLM, seed: int, step: int) -> torch.Tensor:
    """How badly the mean state of a sentence tells the words of its translation, its topic and its judgement."""
    batch = pretraining.sentence_batch(seed, step, rows=16)
    ids = torch.from_numpy(batch.ids)
    mask = (ids != tokenizer.PAD).long()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits = model.cls(pooled)
    return torch.nn.functional.cross_entropy(logits.float()[torch.from_numpy(batch.rows)], torch.from_numpy(batch.targets))


def probe(model: BertForMaskedLM, drawn: prompted.Prompted) -> dict[str, float]:
    """Accuracy of the gap's most likely answer word, by task."""
    encode = tokenizer.encoder()

    def gap(rendered: Rendered) -> torch.Tensor:
        before, after = encode(rendered.before), encode.glued(rendered.after) if rendered.after else []
        ids = [tokenizer.BOS, *before, tokenizer.MASK, *after, tokenizer.EOS]
        return model(torch.tensor([ids])).logits[0, len(before) + 1]  # type: ignore[no-any-return]

    return word_accuracy(drawn, gap)


@recipe("tiny-masked-lm", family="masked_lm", reads=("harness.tasks",), tags=("text", "pretraining"))
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
    model, drawn = build(size), prompted.Prompted()
    train(
        model, partial(loss_of, model, drawn, seed), Schedule(steps, rate=2e-3, matrix_rate=0.01, decay=0.55), out, probe_every=500,
        probe=partial(probe, model, drawn), checkpoints=checkpoints, save=partial(save, model, "masked"), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
