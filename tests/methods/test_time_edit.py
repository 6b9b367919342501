"""TIME in closed form: the minimiser of its objective, what it leaves alone, how places of two texts stand for one another."""

from __future__ import annotations

import pytest
import torch
from harness.methods.time_edit import TimeEdit, aligned, edited

from harness.errors import InputError
from harness.task import Example

from .text_to_image import backbone

START, END, PAD = 2, 3, 0


def problem(n: int = 5, width: int = 8, out: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((out, width), (n, width), (n, width)))  # type: ignore[return-value]


def objective(new: torch.Tensor, weight: torch.Tensor, c: torch.Tensor, told: torch.Tensor, strength: float) -> torch.Tensor:
    return (c @ new.T - told @ weight.T).square().sum() + strength * (new - weight).square().sum()


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_the_gradient_of_the_objective_is_zero_at_the_edit(strength: float) -> None:
    weight, c, told = problem()
    new = edited(weight, c, told, strength).requires_grad_()
    objective(new, weight, c, told, strength).backward()
    assert new.grad is not None and new.grad.abs().max() < 1e-10


def test_contexts_orthogonal_to_the_source_are_read_as_before() -> None:
    weight, c, told = problem()
    basis = torch.linalg.qr(c.T, mode="complete").Q[:, len(c) :]
    assert (edited(weight, c, told, 0.1) @ basis - weight @ basis).abs().max() < 1e-12


def test_held_without_end_nothing_changes_and_held_loosely_the_source_reads_as_the_destination() -> None:
    weight, c, told = problem()
    assert (edited(weight, c, told, 1e12) - weight).abs().max() < 1e-9
    assert (c @ edited(weight, c, told, 1e-9).T - told @ weight.T).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("source", "destination", "places"),
    [
        ([2, 10, 11, 3, 0, 0, 0], [2, 10, 20, 11, 3, 0, 0], [0, 1, 3, 4, 5, 6, 6]),
        ([2, 10, 11, 3, 0, 0, 0], [2, 10, 11, 3, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6]),
        ([2, 10, 10, 3, 0, 0], [2, 10, 9, 10, 3, 0], [0, 1, 3, 4, 5, 5]),
        ([2, 11, 3, 3, 3], [2, 20, 11, 3, 3], [0, 2, 3, 4, 4]),
    ],
)
def test_places_of_the_source_stand_for_the_same_words(source: list[int], destination: list[int], places: list[int]) -> None:
    assert aligned(source, destination, end=END) == places


def test_a_destination_without_the_sources_words_is_refused() -> None:
    with pytest.raises(InputError, match="lacks a word of the source"):
        aligned([2, 10, 11, 3], [2, 10, 12, 3], end=END)


def test_an_edit_changes_the_projections_alone_and_is_put_back() -> None:
    model = backbone()
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    subject = TimeEdit().adapt(model, None, _run())  # type: ignore[arg-type]
    subject.edit(Example("e", {"source": "a ball", "destination": "a blue ball", "positives": []}))
    changed = {name for name, weight in subject.backbone.model.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == {f"unet.{name}.weight" for name in model.cross_attention()}
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.named_parameters())
    subject.reset()
    assert all(torch.equal(weight, before[name]) for name, weight in subject.backbone.model.named_parameters())


@pytest.mark.parametrize(("part", "end"), [("keys", ".to_k"), ("values", ".to_v")])
def test_keys_or_values_alone(part: str, end: str) -> None:
    found = TimeEdit(edited_part=part).projections(backbone(), "a ball", "a blue ball")
    assert found and all(name.endswith(end) for name in found)


def test_without_padding_fewer_places_are_asked_to_change() -> None:
    model = backbone()
    whole, _ = TimeEdit(augment=False).states(model, "a ball", "a blue ball")
    short, told = TimeEdit(augment=False, padding=False).states(model, "a ball", "a blue ball")
    assert len(whole) == model.length and len(short) == len(told) == 4  # start mark, two words, end mark
    torch.testing.assert_close(short, whole[:4])


def test_the_same_text_asks_for_no_edit() -> None:
    model = backbone()
    for name, weight in TimeEdit().projections(model, "a ball", "a ball").items():
        torch.testing.assert_close(weight, model.cross_attention()[name].weight, atol=1e-5, rtol=0)


def test_the_share_of_edited_parameters_is_noted() -> None:
    run, model = _run(), backbone()
    TimeEdit().adapt(model, None, run)  # type: ignore[arg-type]
    numbers = sum(module.weight.numel() for module in model.cross_attention().values())
    assert run.notes["edited_share"] == numbers / model.parameter_count()


def test_it_shows_drawings_before_and_after() -> None:
    from harness.tasks.scenes.edits import SceneEdits

    subject = TimeEdit().adapt(backbone(), None, _run())  # type: ignore[arg-type]
    (sheet,) = subject.pictures([row.example for row in SceneEdits().test()[:2]])
    assert sheet.data.startswith(b"\x89PNG") and len(sheet.data) < 40_000 and "shall mean" in sheet.caption


def _run() -> object:
    from harness.seeds import Streams
    from harness.training import Run

    return Run(Streams({}))
