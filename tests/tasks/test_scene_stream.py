"""Streams of damaged scenes: what arrives, in which order, and that nothing of it was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from harness import catalog
from harness.errors import InputError
from harness.identity import digest_rows
from harness.task import Shots, draw


def stream(name="scene-stream-open", **config):
    return catalog.load("task", name)(**{"things": 12, "batch": 8, **config})


def drawn(task):
    return draw(task, np.random.default_rng(0), train=Shots(per_class=0), dev=Shots(per_class=0))


def test_half_of_an_open_stream_is_unknown():
    task = stream()
    data = drawn(task)
    assert data.train == data.dev == () and len(data.test) == 6 * 24
    kinds = [task.labels[row.target] == "unknown" for row in data.test]
    assert sum(kinds) == len(kinds) / 2
    assert all(row.inputs["image"].dtype == np.uint8 and row.inputs["image"].shape == (32, 32, 3) for row in data.test)
    assert len({row.cluster for row in data.test}) == 24  # a thing arrives under every corruption


def test_a_closed_stream_has_no_unknown():
    task = stream("scene-stream-closed")
    assert "unknown" not in task.labels and all(0 <= row.target < 7 for row in task.test()) and len(task.test()) == 6 * 12


def test_the_rows_depend_on_the_version_and_the_settings_alone():
    assert digest_rows(stream().test()) == digest_rows(stream(rounds=3).test()) != digest_rows(stream(severity=1).test())


def test_corruptions_come_one_after_the_other_and_batches_are_mixed():
    task = stream()
    arrived = list(task.arrivals(drawn(task).test, np.random.default_rng(1)))
    order = [row.id.split("/")[0] for batch in arrived for row in batch]
    assert list(dict.fromkeys(order)) == list(task.corruptions) and len(order) == len(task.test())
    assert all(len({row.id.split("/")[0] for row in batch}) == 1 for batch in arrived)
    assert all(sum("/unknown-" in row.id for row in batch) == len(batch) / 2 for batch in arrived)
    assert sorted(row.id for batch in arrived for row in batch) == sorted(row.id for row in task.test())
    again = [row.id for batch in task.arrivals(drawn(task).test, np.random.default_rng(2)) for row in batch]
    assert again != [row.id for batch in arrived for row in batch]


def test_unknown_shapes_are_none_that_the_model_was_shown():
    from harness.tasks.scene_stream import KNOWN, NEVER_SEEN, training_batch

    assert not set(KNOWN) & set(NEVER_SEEN) and len(NEVER_SEEN) == 3
    pictures, labels = training_batch(0, 0, 64)
    assert pictures.shape == (64, 32, 32, 3) and set(labels.tolist()) <= set(range(7))
    assert np.array_equal(pictures, training_batch(0, 0, 64)[0]) and not np.array_equal(pictures, training_batch(0, 1, 64)[0])


def test_an_unknown_corruption_is_named():
    with pytest.raises(InputError, match="no corruption 'rain'"):
        stream(corruptions=("rain",)).test()


def test_there_is_nothing_to_train_on():
    with pytest.raises(InputError, match="asks for 4 rows"):
        draw(stream(), np.random.default_rng(0), train=Shots(per_class=4), dev=Shots(per_class=0))


def test_the_shipped_model_knows_clean_shapes():
    import torch
    from harness.tasks.scene_stream import KNOWN, training_batch

    from harness.backbones.load import load

    model = load("tiny-convnet")
    pictures, labels = training_batch(2**31, 1, 128)
    with torch.no_grad():
        right = (model.logits(list(pictures)).argmax(1).numpy() == labels).mean()
    assert model.classes == KNOWN and right > 0.95
