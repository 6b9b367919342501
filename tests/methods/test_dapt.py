"""DAPT and its neighbours on a tiny random CLIP: the two terms, the identities among the methods, prototypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from harness.methods.class_texts import Scored, ZeroShotCLIP, class_texts
from harness.methods.coop import CoOp
from harness.methods.dapt import DAPT, prototypes, spread_potential
from harness.methods.joint_prompts import JointPrompts
from harness.tasks.class_geometry import ImageSpread, TextDistance
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError

from .bench import ready
from .image_text import ColouredPictures, backbone

FEW: dict[str, Any] = {"text_length": 2, "image_length": 3, "steps": 4}


def bench(seed: int = 0) -> Any:
    return ready(backbone(), ColouredPictures(), seed=seed)


def answers(model: Any) -> np.ndarray:
    return model.predict([row.example for row in ColouredPictures().test()]).scores  # type: ignore[no-any-return]


def test_without_its_terms_it_is_joint_prompts_bit_for_bit() -> None:
    plain = JointPrompts(**FEW).adapt(*bench())
    neutral = DAPT(**FEW, text_weight=0.0, image_weight=0.0).adapt(*bench())
    changed = DAPT(**FEW).adapt(*bench())
    for name, part in plain.state()[0].items():
        assert torch.equal(part, neutral.state()[0][name])
    assert any(not torch.equal(part, changed.state()[0][name]) for name, part in plain.state()[0].items())


def test_without_image_prompts_joint_prompts_are_coop() -> None:
    joint = JointPrompts(text_length=2, image_length=0, steps=4).adapt(*bench())
    assert np.array_equal(answers(joint), answers(CoOp(length=2, steps=4).adapt(*bench())))


def test_without_any_prompt_the_answers_are_zero_shot() -> None:
    none = JointPrompts(text_length=0, image_length=0, class_text="a {}").adapt(*bench())
    assert np.array_equal(answers(none), answers(ZeroShotCLIP().adapt(*bench())))


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_the_potential_is_smallest_for_the_regular_simplex(classes: int, seed: int) -> None:
    """On the unit sphere no arrangement of C points has a smaller potential than the C corners of a regular simplex."""
    corners = torch.eye(classes, dtype=torch.float64) - 1.0 / classes
    simplex = torch.nn.functional.normalize(corners, dim=-1)
    other = torch.nn.functional.normalize(
        torch.randn(classes, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )
    assert spread_potential(other) >= spread_potential(simplex) - 1e-6
    assert math.isclose(float(spread_potential(simplex)), math.exp(-4 * classes / (classes - 1)), rel_tol=1e-5)


def test_of_one_class_there_is_no_pair() -> None:
    assert spread_potential(torch.ones(1, 4)) == 0


def test_prototypes_are_means_of_frozen_normalised_features_and_stay_shorter_than_one() -> None:
    model, data, _ = bench()
    subject = Scored(model, ["a blue", "a white"], {})
    found = prototypes(subject, data.train, 2)
    for label in range(2):
        rows = [row for row in data.train if row.target == label]
        with torch.no_grad():
            features = torch.nn.functional.normalize(model.features([row.inputs["image"] for row in rows]), dim=-1)
        torch.testing.assert_close(found[label], features.mean(dim=0))
    assert (found.norm(dim=1) < 1).all() and torch.equal(found, prototypes(subject, data.train, 2))


def test_the_terms_move_the_geometry_as_the_paper_says() -> None:
    def after(**weights: float) -> dict[str, float]:
        model, data, run = bench()
        adapted = DAPT(text_length=2, image_length=3, steps=40, learning_rate=1.0, **weights).adapt(model, data, run)
        found = {probe.entry.name: probe().measure(adapted, model, data, run).value for probe in (TextDistance, ImageSpread)}
        return {name: value for name, value in found.items() if value is not None}

    plain = after(text_weight=0.0, image_weight=0.0)
    assert after(text_weight=5.0, image_weight=0.0)["text-distance"] > plain["text-distance"]
    assert after(text_weight=0.0, image_weight=500.0)["image-spread"] < plain["image-spread"]


def test_what_scores_against_no_texts_has_no_geometry() -> None:
    from harness.methods.linear_probe import LinearProbe

    model, data, run = bench()
    for probe in (TextDistance, ImageSpread):
        measured = probe().measure(LinearProbe().adapt(model, data, run), model, data, run)
        assert measured.value is None and "class texts" in str(measured.reason)


def test_class_texts_are_labels_as_words() -> None:
    task = ColouredPictures()
    task.labels = ("red_ball", "blue-box")
    assert class_texts(task, "a picture of a {}") == ["a picture of a red ball", "a picture of a blue box"]
    with pytest.raises(InputError, match="no place for the class"):
        class_texts(task, "a picture")


def test_prompts_that_leave_no_room_are_refused() -> None:
    with pytest.raises(InputError, match="longer than 40 tokens"):
        CoOp(length=60, steps=1).adapt(*bench())
