"""The generic matrix: every registered method, and every wrapper over LoRA, on every backbone family and kind of task that it supports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from harness import catalog
from harness import method as method_module
from harness.costs import Meter
from harness.gradient import Adapted, GradientMethod
from harness.identity import digest_tensors
from harness.method import Method, Predictor, Stateful
from harness.predictions import Predictions
from harness.seeds import Streams
from harness.task import Shots, TaskData, draw
from harness.training import Run
from harness.wrapper import Wrapper

from .conftest import KINDS, OTHER_FAMILIES, TEXT_FAMILIES

WRAPPERS = [f"{found.name} over lora" for found in catalog.entries("wrapper")]
METHODS = [*(found.name for found in catalog.entries("method")), *WRAPPERS]
FAMILIES = (*TEXT_FAMILIES, *OTHER_FAMILIES)
CASES = [(name, family, kind) for name in METHODS for family in FAMILIES for kind in KINDS]


def _made(name: str, neutral: bool = False) -> Method:
    """By name with its small settings; "NAME over INNER" for a wrapper, `neutral` with the settings under which it changes nothing."""
    name, _, inner = name.partition(" over ")
    cls = catalog.load("wrapper" if inner else "method", name)
    settings = {**cls.small, **(cls.neutral if neutral else {})}
    if inner:
        settings["over"] = {inner: catalog.load("method", inner).small}
    made: Method = cls(**settings)
    return made


class Bench:
    """A method with one backbone and one task, ready to adapt under any seed."""

    def __init__(self, name: str, backbone: Any, task: Any) -> None:
        self.method, self.backbone, self.task = _made(name), backbone, task
        reason = self.method.unsupported(task, backbone.family, backbone.capabilities)
        if reason:
            pytest.skip(f"unsupported, as planning says: {reason}")

    def data(self, seed: int) -> TaskData:
        rng = Streams({"data": seed}).rng("data", self.task.name)
        trains = self.task.protocol == "supervised"
        return draw(self.task, rng, train=Shots(per_class=4 * trains), dev=Shots(per_class=2 * trains))

    def run(self, seed: int) -> Run:
        streams = Streams({name: seed for name in ("data", "demos", "init", "order", "noise")})
        run = Run(streams, meter=Meter())
        self.backbone.meter = run.meter
        return run

    def adapt(self, seed: int = 0) -> Predictor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.method.adapt(self.backbone, self.data(seed), self.run(seed))

    def answers(self, predictor: Predictor, seed: int = 0) -> Predictions:
        if isinstance(predictor, Stateful):
            predictor.reset()
        return self.task.ask(predictor, self.data(seed).test, self.run(seed))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, backbone_of: Callable[[str], Any], family_tasks: dict[str, dict[str, Any]]) -> Bench:
    name, family, kind = request.param
    if kind not in family_tasks[family]:
        pytest.skip(f"{family} has no task of this kind here")
    return Bench(name, backbone_of(family), family_tasks[family][kind])


def equal(a: Predictions, b: Predictions) -> bool:
    same = a.ids == b.ids and a.texts == b.texts and set(a.measures) == set(b.measures)
    same = same and all(np.array_equal(a.measures[name], b.measures[name], equal_nan=True) for name in a.measures)
    return same and ((a.scores is None) == (b.scores is None)) and (a.scores is None or np.array_equal(a.scores, b.scores))  # type: ignore[arg-type]


@pytest.mark.parametrize("bench", CASES, indirect=True, ids=lambda case: "-".join(case))
def test_method(bench: Bench, tmp_path: Any) -> None:
    """One adaptation serves all checks: adapting is what takes the time."""
    before = digest_tensors(bench.backbone.model.state_dict())
    first = bench.adapt()
    answers = bench.answers(first)

    assert len(answers.ids) == len(bench.data(0).test)
    if answers.scores is not None:
        finite = answers.scores[np.isfinite(answers.scores)]
        assert finite.size and not np.isnan(answers.scores).any()

    if bench.method.frozen_backbone:
        assert digest_tensors(bench.backbone.model.state_dict()) == before, "the backbone changed"
        assert not any(parameter.requires_grad for parameter in bench.backbone.model.parameters())

    again = bench.adapt()
    assert equal(bench.answers(again), answers), "the same seed gave other answers"
    assert digest_tensors(again.state()[0]) == digest_tensors(first.state()[0]), "the same seed gave other bytes"

    _round_trip(bench, first, answers, tmp_path)
    _counts(bench, first)


def _round_trip(bench: Bench, predictor: Predictor, answers: Predictions, folder: Any) -> None:
    size = method_module.save(predictor, folder / "adapted")
    assert size == sum(file.stat().st_size for file in (folder / "adapted").iterdir())
    tensors, facts = method_module.load(folder / "adapted")
    with torch.random.fork_rng():
        torch.manual_seed(1)  # restoring may not lean on the global generator
        restored = bench.method.restore(bench.backbone, bench.data(0), bench.run(0), tensors, facts)
    assert equal(bench.answers(restored), answers), "loading gave other answers"


def _counts(bench: Bench, predictor: Predictor) -> None:
    formula = bench.method.trainable_parameters(bench.backbone, bench.task) + bench.method.head_parameters(bench.backbone, bench.task)
    if isinstance(predictor, Adapted):
        parts = [p for p in predictor.attached.parts.parameters() if p.requires_grad]
        head = list(predictor.head.parameters()) if predictor.head is not None else []
        assert formula == sum(p.numel() for p in parts + head), "the parameter formula is wrong"
        assert sum(tensor.numel() for tensor in predictor.state()[0].values()) >= formula


@pytest.mark.parametrize(
    "bench",
    [
        *[(name, family, "classification") for name in METHODS for family in ("masked_lm", *OTHER_FAMILIES)],
        *[(name, family, "stream") for name in METHODS for family in OTHER_FAMILIES],
    ],
    indirect=True,
    ids=lambda case: "-".join(case),
)
def test_seeds_matter_where_declared(bench: Bench) -> None:
    one, other = bench.adapt(0), bench.adapt(1)
    if not bench.method.random:
        assert equal(bench.answers(one), bench.answers(other)), "declared deterministic, but the seed matters"
        return
    if bench.method.random == ("data",) and not one.state()[0]:
        return  # a majority of balanced rows is the same for every draw
    same_state = digest_tensors(one.state()[0]) == digest_tensors(other.state()[0])
    assert not (same_state and equal(bench.answers(one), bench.answers(other))), "two seeds gave the same answers"


@pytest.mark.parametrize(
    "bench",
    [(name, family, "classification") for name in WRAPPERS for family in FAMILIES],
    indirect=True,
    ids=lambda case: "-".join(case),
)
def test_a_neutral_wrapper_is_the_method_it_runs_over(bench: Bench) -> None:
    wrapper = bench.method
    assert isinstance(wrapper, Wrapper)
    if not wrapper.neutral:
        pytest.skip("declares no neutral settings")
    changed = bench.adapt()
    bench.method = _made(f"{wrapper.name} over {wrapper.inner.name}", neutral=True)
    neutral = bench.adapt()
    bench.method = wrapper.inner
    plain = bench.adapt()
    bench.method = wrapper
    assert digest_tensors(neutral.state()[0]) == digest_tensors(plain.state()[0]) != digest_tensors(changed.state()[0])
    assert equal(bench.answers(neutral), bench.answers(plain))


@pytest.mark.parametrize(
    "bench",
    [(name, family, "classification") for name in METHODS for family in TEXT_FAMILIES],
    indirect=True,
    ids=lambda case: "-".join(case),
)
def test_identity_at_start(bench: Bench) -> None:
    if not bench.method.identity_at_start or not isinstance(bench.method, GradientMethod):
        pytest.skip("does not claim to start from the backbone")
    if bench.method._readout(bench.task, bench.backbone.capabilities) != "verbalizer":
        pytest.skip("a new head has no answer to start from")
    untrained = bench.method._assemble(bench.backbone, bench.data(0), bench.run(0))
    plain = catalog.load("method", "zero-shot")().adapt(bench.backbone, bench.data(0), bench.run(0))
    difference = np.abs(bench.answers(untrained).scores - bench.answers(plain).scores)  # type: ignore[operator]
    assert difference.max() < 1e-5
