"""PANDA: the metric knows its own prompt, the teacher stays as it is and pulls, and a plan trains the source prompts once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.methods.panda import PROMPT, Panda, PromptTransfer, Student, put, similarity

from harness import api
from harness.artifacts import Product
from harness.backbones.backbone import Backbone
from harness.errors import InputError
from harness.identity import digest_tensors
from harness.store import Store

from .bench import ready
from .conftest import SmallTask

START = {"panda": {"sources": ["first-word-class"], "length": 3, "steps": 3, "rows": 4}}
SMALL: dict[str, Any] = {"length": 3, "steps": 8, "brief_steps": 2}


@dataclass
class Sources:
    """Stands for the preparation of a plan: prompts of two sources."""

    run: Any
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def prepared(self, reference: Any) -> Product:
        return Product(self.tensors, {"sources": list(self.tensors), "length": 3})


@pytest.fixture
def bench(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask], monkeypatch: pytest.MonkeyPatch) -> Any:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    shape = (3, backbone.layers * 2 * backbone.width)
    generator = torch.Generator().manual_seed(7)
    sources = Sources(run, {"far": 4 * torch.randn(shape, generator=generator), "near": torch.randn(shape, generator=generator) * 0.01})
    monkeypatch.setattr(type(run), "prepared", lambda self, reference: sources.prepared(reference))
    return backbone, data, run, sources


@pytest.fixture
def reference(entries: None) -> dict[str, Any]:
    return START


def made(cls: Any, **config: Any) -> Any:
    method = cls(**{**SMALL, **config})
    method.start = START
    return method


def test_a_prompt_is_most_like_itself(bench: Any) -> None:
    backbone, data, run, sources = bench
    model = Panda(**SMALL, strength=0.0)._assemble(backbone, data, run)
    own = model.state()[0][PROMPT].clone()
    assert similarity(model, own, data.train) == pytest.approx(1.0, abs=1e-5)
    assert similarity(model, sources.tensors["far"], data.train) < 1
    assert torch.equal(model.state()[0][PROMPT], own)  # and it is put back


def test_transfer_starts_from_the_most_similar_source(bench: Any) -> None:
    backbone, data, run, sources = bench
    made(PromptTransfer).adapt(backbone, data, run)
    alike = run.notes["similarity"]
    assert run.notes["source"] == max(alike, key=alike.get) and set(alike) == {"far", "near"}
    named = made(PromptTransfer, source="far")
    prompt, _ = named.chosen(backbone, data, run)
    assert torch.equal(prompt, sources.tensors["far"]) and run.notes["source"] == "far"
    with pytest.raises(InputError, match="'else' is no source"):
        made(PromptTransfer, source="else").chosen(backbone, data, run)


def test_the_teacher_pulls_the_students_logits(bench: Any) -> None:
    """Under a great weight the student ends nearer to its teacher than one that has none; the teacher's bytes stay."""
    backbone, data, run, _ = bench
    seen: list[Any] = []
    train_on = Student.train_on

    def watched(self: Student, *arguments: Any) -> None:
        before = digest_tensors(self.teacher.state()[0])
        train_on(self, *arguments)
        assert digest_tensors(self.teacher.state()[0]) == before
        seen.append((self.teacher.scores(data.train) - self.scores(data.train)).square().mean().item())

    for strength in (1e-9, 1e4):
        method = made(Panda, strength=strength, steps=120, learning_rate=3e-2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Student, "train_on", watched)
            method.adapt(backbone, data, run)
    assert seen[1] < seen[0] / 2


def test_the_loss_is_cross_entropy_and_the_mean_square_over_the_batch(bench: Any) -> None:
    backbone, data, run, _ = bench
    method = Panda(**SMALL, strength=0.0)
    teacher, plain = method._assemble(backbone, data, run), method._assemble(backbone, data, run)
    put(teacher, teacher.state()[0][PROMPT] + 1)
    student = Student(plain.attached, plain.task, None, plain.head)
    student.teacher, student.weight = teacher, 0.5
    rows = data.train[:4]
    square = (student.scores(rows) - teacher.scores(rows)).square().mean() / 4
    assert torch.allclose(student.loss(rows), plain.loss(rows) + 0.5 * square)


def test_the_weight_follows_the_code_or_the_text(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, data, run, _ = bench
    weights = []
    monkeypatch.setattr(Student, "train_on", lambda self, *arguments: weights.append(self.weight))
    made(Panda, strength=0.1).adapt(backbone, data, run)
    made(Panda, strength=0.1, weighting="similarity").adapt(backbone, data, run)
    alike = max(run.notes["similarity"].values())
    assert weights == [pytest.approx(0.01), pytest.approx(0.01 * alike)]


def test_source_prompts_are_trained_once_for_all_arms(suite_file: Callable[..., Path], run: Any, tmp_path: Path) -> None:
    arms = [{"name": name, "config": {**SMALL, "start": START}} for name in ("panda", "prompt-transfer")]
    session = run(suite_file(methods=[*arms, {"name": "deep-prompts", "config": {"length": 3}}], seeds=1, budget={"steps": 4}))
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    assert len(session.made) == 1
    cell = session.plan.cells[0]
    stored = Store(tmp_path / "store").get(cell.trial.trial_id, cell.run_key)
    assert stored is not None and stored.result["facts"]["notes"]["source"] == "first-word-class"
    again = api.predict(tmp_path / "store", cell.trial.trial_id, [{"text": "cat dog"}], device="cpu")
    assert again.scores is not None and again.scores.shape == (1, 2)


def test_refused_when_planning(suite_file: Callable[..., Path]) -> None:
    (cell, *_) = api.plan(suite_file(methods=["panda"]), device="cpu").cells
    assert cell.unsupported is not None and "needs `start:" in cell.unsupported
    leak = {"panda": {"sources": ["word-parity"]}}
    with pytest.raises(InputError, match="made from word-parity, which holds 100%"):
        api.plan(suite_file(methods=[{"name": "panda", "config": {"start": leak}}]), device="cpu")
    others = {"panda": {"sources": ["word-parity", "first-word-class"], "others": True}}
    plan = api.plan(suite_file(methods=[{"name": "panda", "config": {"start": others}}], seeds=1), device="cpu")
    (node,) = plan.artifacts().values()
    assert node.artifact.config["sources"] == ["first-word-class"]


def test_source_and_target_prompts_are_of_one_length_by_default() -> None:
    from harness import catalog

    preparation = catalog.load("preparation", "panda")
    assert preparation().length == Panda().length == PromptTransfer().length == catalog.load("method", "deep-prompts")().length
