"""Recipe of the shipped causal model: a small Llama trained on episodes, prompted tasks and plain text of the world.

python -m harness.methods.tiny_causal_lm --out DIR
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness.tasks.world import episodes, pretraining, tokenizer
from harness.tasks.world.meaning import Sampler
from transformers import LlamaConfig, LlamaForCausalLM

from .pretraining import Schedule, train


def build(width: int = 192, layers: int = 4, heads: int = 6, inner: int = 384) -> LlamaForCausalLM:
    """Stock Llama with tied embeddings; rotary positions, so that texts longer than those of training are in reach."""
    config = LlamaConfig(
        vocab_size=tokenizer.SIZE, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
        max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=tokenizer.BOS, eos_token_id=tokenizer.EOS, pad_token_id=tokenizer.PAD,
    )  # fmt: skip
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")  # the quickest on a CPU at these lengths


SHORT_STEPS = 500


def loss_of(model: LlamaForCausalLM, seed: int, step: int) -> torch.Tensor:
    if step < SHORT_STEPS:
        source = pretraining.episodes_and_text(0.3, partitions=episodes.SHORT, copied_share=0.4)
    else:
        source = pretraining.episodes_and_text(0.2, copied_share=0.1)
    batch = pretraining.causal_batch(source, seed, step, rows=32, length=128)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)])
    losses = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(batch.targets), reduction="none")
    weights = torch.from_numpy(batch.weights)
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def probe(model: LlamaForCausalLM) -> dict[str, float]:
    """Accuracy on the answers of held-out episodes after 8 or more demonstrations, by partition."""
    result = {}
    for maker, _ in episodes.PARTITIONS:
        sampler = Sampler(np.random.default_rng([404, len(maker.__name__)]))
        right = total = 0
        for _ in range(24):
            document = episodes.episode(sampler, partitions=((maker, 1.0),))
            tokens = pretraining.encode(document, sampler, labelled=True)
            answers = [i for i, weight in enumerate(tokens.weights) if weight == pretraining.ANSWER_WEIGHT][-4:]
            ids = [tokenizer.BOS, *tokens.ids]
            guesses = model(torch.tensor([ids])).logits[0].argmax(-1)
            right += sum(int(guesses[i]) == ids[i + 1] for i in answers)
            total += len(answers)
        result[maker.__name__] = right / total
    return result


def pretrain(out: Path, *, seed: int = 0, steps: int = 4000) -> None:
    torch.manual_seed(seed)
    model = build()
    train(model, partial(loss_of, model, seed), Schedule(steps), out, probe=partial(probe, model))


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    pretrain(Path(sys.argv[1]), steps=int(sys.argv[2]))
