"""Recipe of the shipped masked LM: a small BERT trained to fill gaps in plain and prompted text of the world.

    python -m harness.methods.tiny_masked_lm --out DIR
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import pretraining, prompted, tokenizer
from harness.tasks.world.meaning import Sampler
from transformers import BertConfig, BertForMaskedLM

from .pretraining import Schedule, train


def build(width: int = 192, layers: int = 4, heads: int = 6, inner: int = 480) -> BertForMaskedLM:
    """Stock BERT without dropout."""
    config = BertConfig(
        vocab_size=tokenizer.SIZE, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
        max_position_embeddings=512, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=tokenizer.PAD,
    )  # fmt: skip
    return BertForMaskedLM._from_config(config, attn_implementation="eager")


def loss_of(model: BertForMaskedLM, source: pretraining.Source, seed: int, step: int) -> torch.Tensor:
    """Filling gaps, and telling a sentence's words in another language from its mean state."""
    batch = pretraining.masked_batch(source, seed, step, rows=40, length=96)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.bert(
            input_ids=torch.from_numpy(batch.ids), attention_mask=torch.from_numpy(batch.mask), position_ids=torch.from_numpy(batch.places)
        ).last_hidden_state
        logits = model.cls(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)])
    losses = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(batch.targets), reduction="none")
    weights = torch.from_numpy(batch.weights)
    return (losses * weights).sum() / weights.sum() + 0.1 * sentence_loss(model, seed, step)


def sentence_loss(model: BertForMaskedLM, seed: int, step: int) -> torch.Tensor:
    batch = pretraining.sentence_batch(seed, step, rows=24)
    ids = torch.from_numpy(batch.ids)
    mask = (ids != tokenizer.PAD).long()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits = model.cls(pooled)
    return torch.nn.functional.cross_entropy(logits.float()[torch.from_numpy(batch.rows)], torch.from_numpy(batch.targets))


@torch.no_grad()
def probe(model: BertForMaskedLM, drawn: prompted.Prompted) -> dict[str, float]:
    """Accuracy of the gap's most likely answer word, by task: rows outside pool and test, the first template."""
    result = {}
    encode = tokenizer.encoder()
    for task in drawn.tasks:
        if task.kind == "generation":
            continue
        sampler, right = Sampler(np.random.default_rng(404)), 0
        for _ in range(60):
            row = drawn.row(task, sampler)
            rendered = drawn.templates[task.name][0].render(row.inputs, task.labels)
            before, after = encode(rendered.before), encode.glued(rendered.after) if rendered.after else []
            ids = [tokenizer.BOS, *before, tokenizer.MASK, *after, tokenizer.EOS]
            scores = model(torch.tensor([ids])).logits[0, len(before) + 1]
            words = [encode(answer)[0] for answer in rendered.answers or ()]
            right += int(scores[words].argmax()) == row.target
        result[task.name.removeprefix("world-")] = right / 60
    return result


def pretrain(out: Path, *, seed: int = 0, steps: int = 9000) -> None:
    torch.manual_seed(seed)
    model, drawn = build(), prompted.Prompted()
    source = pretraining.everything(drawn, prompted_share=0.5, labelled_share=0.03, most=3, words=60)
    train(model, partial(loss_of, model, source, seed), Schedule(steps), out, probe=partial(probe, model, drawn), probe_every=500)


if __name__ == "__main__":
    import sys
    torch.set_num_threads(1)
    pretrain(Path(sys.argv[1]), steps=int(sys.argv[2]))
