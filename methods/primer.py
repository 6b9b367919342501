"""Primer: squared ReLU and convolutions behind the attention projections make pretraining cheaper (So et al. 2021, arXiv 2109.08668).

A recipe: a small GPT-2 is pretrained on plain text of the world, and its product is a backbone. Primer-EZ, the default, changes two things:
(1) the feed-forward activation is max(0, x)^2; (2) behind the query, key and value projections stands a causal depthwise convolution of
three taps, w[0] x[t] + w[1] x[t-1] + w[2] x[t-2], one filter a channel, no bias, started at 1/2, 1/6, 1/6. Each is an option, so that parts
can be taken alone; `activation: relu, convolution: 1` is the vanilla recipe (a single tap of 1/2 would halve the projection, so 1 puts none in).
The full Primer of the released code (gin/models/medium_primer.gin) is `shared_query_key: true, norm: product, feed_forward_norm: after`
beside both: keys stand behind one projection and its convolution, and queries are a square matrix's product with them; the variance is
mean(x (x - mean)); attention is normed before it, the feed-forward branch at its end, before the residual is added.
Departs from the paper: GPT-2's learned positions in place of T5's relative ones, 0.1-1M parameters in place of 20-500M; AdamW for vectors and
embeddings, Muon for matrices, in place of Adafactor; a constant rate after the warm-up, so that a point on the way is not held back by a
decay that the end has had; where queries and keys are shared, the biases of GPT-2's projections stay on keys and values.
Left out: the search itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.tasks.world import pretraining, tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from harness.artifacts import Recipe
from harness.backbones.parts import KEY, with_parts
from harness.claims import Arm, Exact, Learned
from harness.costs import flop_counter
from harness.registry import recipe
from harness.settings import setting

from .pretraining import Schedule, save, train, weighted_loss

if TYPE_CHECKING:
    from harness.artifact_inputs import Given
    from harness.training import Run

HELD_OUT = 90_000  # seed of the text on which losses are compared; no pretraining seed draws from it


@recipe("primer", paper="arXiv:2109.08668", tags=("text", "pretraining"))
class Primer(Recipe):
    """A causal LM with Primer-EZ's two changes."""

    family: ClassVar = "causal_lm"
    reads: ClassVar[tuple[str, ...]] = ("harness.tasks.world",)

    activation: str = setting(
        "relu2", one_of=("relu2", "relu", "gelu_new", "silu"), help="of the feed-forward layers; relu2 is max(0, x)^2"
    )
    convolution: int = setting(3, at_least=1, at_most=8, help="taps behind each of query, key and value; 1: none")
    norm: str = setting("layer", one_of=("layer", "product"), help="product: the variance is mean(x (x - mean))")
    shared_query_key: bool = setting(False, help="of the full Primer: queries are a matrix's product with the keys")
    feed_forward_norm: str = setting(
        "before", one_of=("before", "after"), help="after, of the full Primer: at the end of the feed-forward branch"
    )
    width: int = setting(64, at_least=8)
    layers: int = setting(2, at_least=1)
    heads: int = setting(4, at_least=1)
    steps: int = setting(200, at_least=1)
    rows: int = setting(8, at_least=1, help="of a batch")
    length: int = setting(64, at_least=8, help="tokens of a row")
    rate: float = setting(4e-3, above=0)
    decay: float = setting(0.0, at_least=0, below=1, help="share of the steps in which the rate falls to zero")
    evaluate_every: int = setting(10, at_least=1, help="steps between points of the curve, whose dev score is minus the held-out loss")

    def last_step(self) -> int:
        return self.steps

    def config_of(self) -> GPT2Config:
        options: dict[str, Any] = {"bos_token_id": tokenizer.BOS, "eos_token_id": tokenizer.EOS, "pad_token_id": tokenizer.PAD}
        options |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "n_positions": 512, "activation_function": self.activation}
        options |= {"vocab_size": tokenizer.SIZE, "n_embd": self.width, "n_layer": self.layers, "n_head": self.heads}
        config = GPT2Config(**options)
        parts: dict[str, Any] = {"convolution": self.convolution} if self.convolution > 1 else {}
        parts |= {"norm": self.norm} if self.norm != "layer" else {}
        parts |= {"shared_query_key": True} if self.shared_query_key else {}
        parts |= {"feed_forward_norm": self.feed_forward_norm} if self.feed_forward_norm != "before" else {}
        setattr(config, KEY, parts)
        return config

    def model(self, seed: int) -> Any:
        torch.manual_seed(seed)
        return with_parts(GPT2LMHeadModel)._from_config(
            self.config_of(), attn_implementation="eager"
        )  # the quickest on a CPU at these lengths

    def loss(self, model: Any, seed: int, step: int) -> torch.Tensor:
        """[] weighted cross-entropy of the next tokens of the step's batch, which depends on seed and step alone."""
        batch = pretraining.causal_batch(
            lambda sampler: (pretraining.plain(sampler), False), seed, step, rows=self.rows, length=self.length
        )
        hidden = model.transformer(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
        return weighted_loss(model.lm_head(hidden.flatten(0, 1)[torch.from_numpy(batch.positions)]), batch.targets, batch.weights)

    @torch.no_grad()
    def held_out(self, model: Any) -> float:
        return sum(float(self.loss(model, HELD_OUT, number)) for number in range(4)) / 4

    def build(self, given: Given, run: Run, out: Path, checkpoints: Sequence[int]) -> None:
        seed = run.streams.integer("init") % 2**31
        model = self.model(seed)
        with flop_counter() as counter:
            self.loss(model, seed, 0).backward()  # every step has the same shape
        model.zero_grad(set_to_none=True)
        flops, start = float(counter.get_total_flops()), time.perf_counter()

        def loss(step: int) -> torch.Tensor:
            run.check_time()
            if run.notify is not None:
                run.notify(step + 1, self.steps, 0.0)
            return self.loss(model, seed, step)

        def point(step: int, running: float) -> None:
            run.curve.add(step, running, -self.held_out(model), time.perf_counter() - start, step * flops)

        train(
            model, loss, Schedule(self.steps, rate=self.rate, decay=self.decay), out, checkpoints=checkpoints,
            save=lambda folder: save(model, "causal", folder), log=lambda line: None, point=point, point_every=self.evaluate_every,
            curve=run.curve.rows,
        )  # fmt: skip
        run.steps_done, run.examples_seen = self.steps, self.steps * self.rows
        run.meter.flops += flops * self.steps
        run.meter.tokens += self.steps * self.rows * self.length
        run.notes["flops_per_step"] = flops

    def parameters(self) -> int:
        """Embeddings of tokens and positions, and in each layer two norms, attention, feed-forward and taps x width of each convolution:
        three of them, and three biases of projections, or two where queries and keys share theirs."""
        width, projected = self.width, 2 if self.shared_query_key else 3
        layer = 4 * width + (4 * width**2 + (projected + 1) * width) + (8 * width**2 + 5 * width)
        layer += projected * self.convolution * width if self.convolution > 1 else 0
        return (tokenizer.SIZE + 512) * width + self.layers * layer + 2 * width


VANILLA = {"activation": "relu", "convolution": 1}
claims = [
    Exact(
        "nine-numbers-a-channel",
        "the convolutions add 9 numbers for each channel of attention, in every layer: 9 x 64 x 2 at width 64 with 2 layers",
        arm=Arm("primer", {"width": 64, "layers": 2}),
        against=Arm("primer", {"width": 64, "layers": 2, **VANILLA}),
        measure="added_parameters",
        equals=Fraction(9 * 64 * 2),
    ),
    Learned(
        "fewer-steps",
        "Primer-EZ reaches the vanilla model's final loss in fewer steps",
        arm=Arm("primer"),
        against=Arm("primer", VANILLA),
        measure="steps",
        stand_in="tests/methods/test_primer.py::test_parts_do_what_the_paper_says",
    ),
    Learned(
        "fewer-flops",
        "and with fewer FLOPs",
        arm=Arm("primer"),
        against=Arm("primer", VANILLA),
        measure="flops",
        stand_in="tests/methods/test_primer.py::test_parts_do_what_the_paper_says",
    ),
    Learned(
        "activation-alone",
        "squared ReLU alone reaches it in fewer steps than ReLU",
        arm=Arm("primer", {"convolution": 1}),
        against=Arm("primer", VANILLA),
        measure="steps",
    ),
    Learned(
        "convolution-alone",
        "the convolutions alone reach it in fewer steps",
        arm=Arm("primer", {"activation": "relu"}),
        against=Arm("primer", VANILLA),
        measure="steps",
    ),
]
