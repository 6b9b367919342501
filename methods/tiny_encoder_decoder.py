"""Recipe of the shipped encoder-decoder: a small T5 trained on prompted text -> answer, and on spans left out of plain text.

python -m harness.methods.tiny_encoder_decoder --out DIR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import pretraining, prompted, tokenizer
from numpy.typing import NDArray
from transformers import T5Config, T5ForConditionalGeneration

from harness.registry import recipe
from harness.templates import Rendered

from .pretraining import SIZES, Schedule, command, save, say, train, word_accuracy


def build(size: str = "tiny") -> T5ForConditionalGeneration:
    """Stock T5 without dropout, half of the layers in the encoder and half in the decoder."""
    shape = SIZES[size]
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=tokenizer.SIZE, d_model=shape.width, d_kv=shape.width // shape.heads, d_ff=2 * shape.width, num_layers=shape.layers // 2, num_heads=shape.heads,
        dropout_rate=0.0, relative_attention_num_buckets=32, pad_token_id=tokenizer.PAD, eos_token_id=tokenizer.EOS, decoder_start_token_id=tokenizer.PAD,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        model.shared.weight.mul_(0.3)  # of unit variance by T5's own start, which is slow to move at the rates used here
    return model


TOLD_STEPS = 1250
"""Steps before pairs of a word or clause and what it amounts to join."""


def loss_of(model: T5ForConditionalGeneration, drawn: prompted.Prompted, seed: int, step: int) -> torch.Tensor:
    """Cross-entropy over the answers; rows come sorted by length and are run in three parts, so that little of them is padding."""
    batch = pretraining.pair_batch(drawn, seed, step, rows=48, told_share=0.3 if step >= TOLD_STEPS else 0.0)
    total = torch.zeros(())
    for part in np.array_split(np.arange(48), 3):
        inputs, targets = (
            torch.from_numpy(trimmed(array[part], gap)) for array, gap in ((batch.inputs, tokenizer.PAD), (batch.targets, -100))
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=inputs, attention_mask=(inputs != tokenizer.PAD).long(), labels=targets.clamp(min=0)).logits
        losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none", ignore_index=-100)
        total = total + (losses * torch.from_numpy(batch.weights[part, : targets.shape[1]]).flatten()).sum()
    return total / float(batch.weights.sum())


def trimmed(array: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """Rows without the columns at their end where all of them have a gap."""
    return array[:, : int((array != gap).any(0).nonzero()[0][-1]) + 1]


def probe(model: T5ForConditionalGeneration, drawn: prompted.Prompted) -> dict[str, float]:
    """Accuracy of the most likely answer word, by task."""
    encode = tokenizer.encoder()

    def first(rendered: Rendered) -> torch.Tensor:
        ids = torch.tensor([[*encode(rendered.before), tokenizer.EOS]])
        return model(input_ids=ids, decoder_input_ids=torch.tensor([[tokenizer.PAD]])).logits[0, 0]  # type: ignore[no-any-return]

    return word_accuracy(drawn, first)


@recipe("tiny-encoder-decoder", family="encoder_decoder", reads=("harness.tasks",), tags=("text", "pretraining"))
def pretrain(
    out: Path,
    *,
    seed: int = 0,
    steps: int = 2190,
    size: str = "tiny",
    checkpoints: Iterable[int] = (),
    log: Callable[[str], None] = say,
    stop_at: int | None = None,
) -> None:
    """Train into `out`; goes on from `out/state.pt` where there is one. Checkpoints are saved as `out/step-N`."""
    torch.manual_seed(seed)
    model, drawn = build(size), prompted.Prompted()
    train(
        model, partial(loss_of, model, drawn, seed), Schedule(steps, decay=0.2), out, probe_every=500,
        probe=partial(probe, model, drawn), checkpoints=checkpoints, save=partial(save, model, "encoder-decoder"), log=log, stop_at=stop_at,
    )  # fmt: skip


if __name__ == "__main__":
    command(pretrain)
