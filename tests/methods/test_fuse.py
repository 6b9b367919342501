"""Fusing is a weighted mean of other trials' weights; with one source it is that source, and a target is never among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.methods.fuse import Fuse, mean
from safetensors.torch import load_file

from harness import api
from harness.artifact_store import folders, read
from harness.errors import InputError
from harness.method import load as load_state
from harness.store import Store


def states(number: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{f"parts.p{i}": torch.randn(3, 4, generator=generator) for i in range(2)} for _ in range(number)]


def test_fusing_is_the_weighted_mean() -> None:
    one, two, three = states(3)
    fused = mean([one, two, three], [0.5, 0.25, 0.25], ["a", "b"])
    expected = 0.5 * one["parts.p1"] + 0.25 * two["parts.p1"] + 0.25 * three["parts.p1"]
    assert set(fused) == {"a", "b"} and torch.allclose(fused["b"], expected)


def test_fusing_equal_models_is_the_identity_and_order_does_not_matter() -> None:
    one, two, three = states(3)
    same = mean([one] * 5, [0.2] * 5, ["a", "b"])
    assert torch.allclose(same["a"], one["parts.p0"], rtol=1e-6) and torch.equal(mean([one], [1.0], ["a", "b"])["a"], one["parts.p0"])
    thirds = [1 / 3] * 3
    assert torch.equal(mean([one, two, three], thirds, ["a", "b"])["b"], mean([three, one, two], thirds, ["a", "b"])["b"])


@pytest.mark.parametrize("wrong", [{"sources": []}, {"weights": [1.0]}, {"weights": [0, 0]}, {"weights": [1, -1]}])
def test_weights_must_fit_the_sources(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="sources with weights"):
        Fuse(**{"sources": ["a", "b"], **wrong}).shares()
    assert Fuse(sources=["a", "b"], weights=[1, 3]).shares() == [0.25, 0.75]


@pytest.fixture
def fused(suite_file: Callable[..., Path], backbone_folder: Callable[[str], Path]) -> Callable[..., Path]:
    """A suite on a fused backbone."""

    def write(sources: list[str], *, methods: Any = ("linear-probe",), tasks: Any = ("word-parity",), **config: Any) -> Path:
        base = {"base": str(backbone_folder("masked_lm")), "shots": 2, "steps": 2, "sources": sources, **config}
        spec = {"recipe": "fuse", "config": base, "seed": 0}
        return suite_file(backbones=[spec], methods=list(methods), tasks=list(tasks), seeds=1)

    return write


def test_one_source_is_intertraining(fused: Callable[..., Path], run: Any, tmp_path: Path) -> None:
    """The product is the source trial's own weights, wherever that trial came from."""
    session = run(fused(["first-word-class"]), keep="none")
    assert {done.status for done in session.outcomes.values()} == {"ok"}, session.outcomes
    store = Store(tmp_path / "store")
    (stored,) = [read(folder) for folder in folders(store)]
    assert stored is not None
    ((trial_id, key),) = stored.depends_on["trials"]
    tensors, _ = load_state(store.folder(trial_id, key) / "adapted")
    made = load_file(stored.folder / "model" / "model.safetensors")
    trained = sorted(map(float, (tensor.double().sum() for name, tensor in tensors.items() if name.startswith("parts."))))
    weights = [float(tensor.double().sum()) for tensor in made.values()]
    assert all(any(abs(total - other) < 1e-9 for other in trained) for total in weights)


def test_an_equal_trial_of_the_suite_is_shared(
    fused: Callable[..., Path], run: Any, suite_file: Callable[..., Path], backbone_folder: Any
) -> None:
    method = {"name": "full-fine-tuning", "config": {"steps": 2, "learning_rate": 3e-4}}
    base = suite_file(
        "base", backbones=[str(backbone_folder("masked_lm"))], methods=[method], tasks=["first-word-class"], shots=2, seeds=1, budget=None
    )
    run(base, keep="all")
    session = run(fused(["first-word-class"]))
    assert len(session.outcomes) == 1 and len(session.made) == 1  # the target's trial alone


def test_leave_one_out_and_refusal(fused: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="made from word-parity, which holds 100%"):
        api.plan(fused(["word-parity", "first-word-class"]), device="cpu")
    plan = api.plan(
        fused(["word-parity", "first-word-class"], others=True, weights=[3, 1], tasks=("word-parity", "first-word-class")), device="cpu"
    )
    found = {tuple(node.artifact.config["sources"]): node.artifact.config["weights"] for node in plan.artifacts().values()}
    assert found == {("first-word-class",): [1], ("word-parity",): [3]}


def test_the_control_starts_apart(fused: Callable[..., Path]) -> None:
    plan = api.plan(fused(["first-word-class"], starts="apart"), device="cpu")
    (node,) = plan.artifacts().values()
    assert [trial.backbone["untrained"] for trial in node.artifact.inputs.trials] == [1000]
