"""What a claim's measure is on one arm: functions of (arm, sizes) that run on a random model, each within seconds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from harness.backbones.meter import Tally
from harness.claims import Arm, CostMeasure, ExactMeasure, Shape, Sizes
from harness.costs import flop_counter, saved_bytes
from harness.errors import InputError
from harness.gradient import Adapted, GradientMethod
from harness.method import Predictor
from harness.training import Budget

from .bench import Bench, RandomWords
from .streams import changed_by_reset, dropped_at_start, stream_answers


def trainable_parameters(arm: Arm, shape: Shape) -> Fraction:
    """The method's own formula at a model's sizes. The generic test matrix holds the formula against what is really trained."""
    bench = Bench(arm, Sizes(width=16))
    towers = {"text_width": shape.width, "image_width": shape.image_width}
    model = cast(Any, SimpleNamespace(width=shape.width, layers=shape.layers, max_length=shape.max_length, **towers))
    return Fraction(bench.method.trainable_parameters(model, bench.task))


def product_parameters(arm: Arm) -> Fraction:
    """A recipe's own formula for the numbers in its product; the recipe's test holds it against a built one."""
    from harness.artifacts import Recipe, producer_class

    recipe = producer_class("recipe", arm.method)(**arm.config)
    count = recipe.parameters() if isinstance(recipe, Recipe) else None
    if count is None:
        raise InputError(f"{arm.method} states no formula for its parameters", key="measure")
    return Fraction(count)


def trained_numbers(arm: Arm, sizes: Sizes) -> Fraction:
    predictor, _ = _adapted(Bench(arm, sizes))
    assert isinstance(predictor, Adapted)
    return Fraction(sum(part.numel() for part in predictor.attached.parts.parameters() if part.requires_grad))


def forward_calls(arm: Arm, sizes: Sizes) -> Fraction:
    _, run = _adapted(Bench(arm, sizes))
    return Fraction(run.meter.forward_calls)


def noted(key: str) -> Callable[[Arm, Sizes], Fraction]:
    """A count that the method itself keeps in `run.notes`."""

    def count(arm: Arm, sizes: Sizes) -> Fraction:
        _, run = _adapted(Bench(arm, sizes))
        if key not in run.notes:
            raise InputError(f"{arm.method} notes no {key}", key="measure")
        return Fraction(run.notes[key])

    return count


def changed_weights(arm: Arm, sizes: Sizes) -> Fraction:
    bench = Bench(arm, sizes)
    before = {name: tensor.clone() for name, tensor in bench.backbone.model.state_dict().items()}
    _adapted(bench)
    after = bench.backbone.model.state_dict()
    return Fraction(sum(not torch.equal(tensor, after[name]) for name, tensor in before.items()))


def start_scores(arm: Arm, sizes: Sizes) -> np.ndarray:
    """float [N, C] label scores before training."""
    bench = Bench(arm, sizes)
    if not isinstance(bench.method, GradientMethod):
        raise InputError(f"{arm.method} has no state before training", key="measure")
    return _scores(bench, bench.method._assemble(bench.backbone, bench.data(), bench.new_run()))


def trained_scores(arm: Arm, sizes: Sizes) -> np.ndarray:
    bench = Bench(arm, sizes)
    return _scores(bench, _adapted(bench)[0])


def optimiser_steps(arm: Arm, sizes: Sizes, epochs: int | None) -> Fraction:
    _, run = _adapted(Bench(arm, sizes), epochs)
    return Fraction(run.steps_done)


def distinct_rows(arm: Arm, sizes: Sizes, epochs: int | None) -> Fraction:
    """Of the 8 rows of the small world."""
    _, run = _adapted(Bench(arm, sizes), epochs)
    return Fraction(run.notes["selection"]["distinct"])


def _adapted(bench: Bench, epochs: int | None = None) -> tuple[Predictor, Any]:
    run = bench.new_run(None if epochs is None else Budget("epochs", epochs))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return bench.method.adapt(bench.backbone, bench.data(), run), run


def _scores(bench: Bench, predictor: Predictor) -> np.ndarray:
    scores = predictor.predict([row.example for row in bench.data().test]).scores
    assert scores is not None
    return scores


def step_cost(measure: CostMeasure, arm: Arm, sizes: Sizes) -> Fraction:
    """FLOPs, bytes saved for the backward pass (the backbone's weights apart) or tokens of one training step on texts of one length."""
    bench = Bench(Arm(arm.method, {**arm.config, "batch_size": sizes.batch}), sizes, _texts(sizes))
    data, run = bench.data(per_class=sizes.batch), bench.new_run(Budget("steps", 1))
    tally = bench.backbone.meter = Tally()
    weights = {parameter.untyped_storage().data_ptr() for parameter in bench.backbone.model.parameters()}
    with torch.random.fork_rng(devices=[]), saved_bytes(weights) as saved, flop_counter() as flops:
        torch.manual_seed(0)
        bench.method.adapt(bench.backbone, data, run)
    return Fraction({"step_flops": flops.get_total_flops(), "step_saved_bytes": saved["bytes"], "step_tokens": tally.tokens}[measure])


def _texts(sizes: Sizes) -> RandomWords:
    """Texts that, rendered, are exactly `sizes.tokens` tokens long: one is counted to find what the template and special tokens add."""
    task = RandomWords()
    task.words = sizes.tokens
    bench = Bench(Arm("zero-shot"), sizes, task)
    tally = bench.backbone.meter = Tally()
    with torch.no_grad():
        bench.backbone.label_scores([task.templates["plain"].render(bench.data().test[0].inputs, task.labels)])
    task = RandomWords()
    task.words = 2 * sizes.tokens - tally.tokens
    return task


COUNTS: dict[ExactMeasure, Callable[[Arm, Sizes], Fraction]] = {
    "trained_numbers": trained_numbers,
    "searched_numbers": noted("searched_numbers"),
    "training_pairs": noted("training_pairs"),
    "template_population": noted("template_population"),
    "forward_calls": forward_calls,
    "changed_weights": changed_weights,
    "dropped_at_start": dropped_at_start,
    "changed_by_reset": changed_by_reset,
    "telescoping_error": noted("telescoping_error"),
    "padded_probability": noted("padded_probability"),
}
IN_EPOCHS: dict[ExactMeasure, Callable[[Arm, Sizes, int | None], Fraction]] = {
    "optimiser_steps": optimiser_steps,
    "distinct_rows": distinct_rows,
}
SCORES: dict[ExactMeasure, Callable[[Arm, Sizes], np.ndarray]] = {
    "start_difference": start_scores,
    "answer_difference": trained_scores,
    "stream_difference": stream_answers,
}
