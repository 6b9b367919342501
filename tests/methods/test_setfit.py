"""SetFit: how many pairs, which ones, and what is left without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from harness.methods.linear_probe import LinearProbe, features_of
from harness.methods.setfit import SetFit, Tuned, pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.backbones.backbone import Backbone
from harness.errors import InputError
from harness.task import Row

from .bench import ready
from .conftest import SmallTask

Get = Callable[[str], Backbone]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20).filter(lambda targets: len(set(targets)) > 1), st.integers(0, 6))
@settings(deadline=None, max_examples=50)
def test_pairs_are_counted_and_balanced(targets: list[int], partners: int) -> None:
    rows = [Row(str(i), {"text": str(i)}, target) for i, target in enumerate(targets)]
    pairs = pairs_of(rows, partners, np.random.default_rng(0))
    assert len(pairs) == 2 * partners * len(rows)
    assert sum(pair.same for pair in pairs) == partners * len(rows)
    for pair in pairs:
        assert (pair.first.target == pair.second.target) == bool(pair.same)
        assert pair.first is not pair.second or targets.count(int(pair.first.target)) == 1, "its own partner only in a class of one"
    for row in rows:
        seconds = [pair.second.id for pair in pairs if pair.first is row and not pair.same]
        others = sum(target != row.target for target in targets)
        assert len(set(seconds)) == partners or partners > others, "no partner twice where there are enough"


def test_one_class_leaves_nothing_to_contrast() -> None:
    with pytest.raises(InputError, match="one class"):
        pairs_of([Row("a", {"text": "a"}, 1), Row("b", {"text": "b"}, 1)], 2, np.random.default_rng(0))


def test_without_pairs_it_is_the_linear_probe(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    examples = [row.example for row in data.test]
    ours = SetFit(partners=0).adapt(backbone, data, run).predict(examples)
    np.testing.assert_array_equal(ours.scores, LinearProbe().adapt(backbone, data, run).predict(examples).scores)


@pytest.mark.parametrize("family", ["masked_lm", "encoder_decoder"])
def test_tuning_brings_a_class_together(family: str, backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    """On the rows it was tuned on, cosines within a class rise against those between classes; only the encoder moves."""
    backbone, data, run = ready(backbone_of(family), small_tasks["classification"])
    torch.manual_seed(0)
    tuned = SetFit(partners=6, epochs=4, learning_rate=3e-3).adapt(backbone, data, run)
    assert isinstance(tuned, Tuned)
    assert _gap(tuned.backbone, data.train) > _gap(backbone, data.train) + 0.05
    moved = {
        name for name, weight in tuned.backbone.model.named_parameters() if not torch.equal(weight, backbone.model.get_parameter(name))
    }
    assert moved and not any("decoder" in name and "cls" not in name for name in moved)
    assert SetFit().trainable_parameters(backbone, data.task) == sum(weight.numel() for weight in tuned.weights.values())


def _gap(backbone: Backbone, rows: tuple[Row, ...] | list[Row]) -> float:
    features = features_of(backbone, rows).copy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    targets = np.array([row.target for row in rows])
    same = (targets[:, None] == targets) & ~np.eye(len(rows), dtype=bool)
    cosines = features @ features.T
    return float(cosines[same].mean() - cosines[targets[:, None] != targets].mean())


def test_a_tuned_encoders_features_are_not_taken_for_the_originals(backbone_of: Get, small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("masked_lm"), small_tasks["classification"])
    plain = features_of(backbone, data.test)
    torch.manual_seed(0)
    tuned = SetFit(partners=2, learning_rate=3e-3).adapt(backbone, data, run)
    assert isinstance(tuned, Tuned) and backbone.identity
    assert not np.allclose(features_of(tuned.backbone, data.test), plain)
    assert np.array_equal(features_of(backbone, data.test), plain)
