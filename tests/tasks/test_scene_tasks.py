"""Tasks of scenes and real pictures: labels say what is there, classes are balanced, splits are disjoint, shifts are shifts."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from harness.tasks.scenes.scene import SceneSampler, held_out, relation

from harness import catalog
from harness.errors import InputError
from harness.seeds import Streams
from harness.task import Shots, draw

FILES = ("scene_things.py", "scene_layout.py", "scene_shifts.py")
SCENES = [found.name for found in catalog.entries("task") if found.file.name in FILES]


def _task(name: str):  # type: ignore[no-untyped-def]
    """The task with few rows, so that all are quick; the same generator."""
    cls = catalog.load("task", name)
    small = type(cls.__name__, (cls,), {"pool_size": 320, "test_size": 120, "entry": cls.entry})
    return small()


@pytest.mark.parametrize("name", SCENES)
def test_rows(name: str) -> None:
    task = _task(name)
    pool, test = task.pool(), task.test()
    assert (len(pool), len(test)) == (320, 120)
    assert all(row.inputs["image"].shape == (32, 32, 3) and row.inputs["image"].dtype == np.uint8 for row in (*pool, *test))
    assert {row.target for row in pool} <= set(range(len(task.labels))) and task.floor == pytest.approx(1 / len(task.labels))
    assert not {row.content for row in pool} & {row.content for row in test}
    if len(task.labels) <= 16:
        counts = Counter(row.target for row in pool)
        assert min(counts.values()) >= 0.4 * 320 / len(task.labels), "classes are drawn alike"
    again = _task(name)
    assert [row.content for row in again.test()] == [row.content for row in test]


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("scene-shape", lambda scene, label: scene.objects[0].shape == label),
        ("scene-colour", lambda scene, label: scene.objects[0].colour == label),
        ("scene-texture", lambda scene, label: scene.objects[0].texture == label),
        ("scene-size", lambda scene, label: scene.objects[0].size == label),
        ("scene-larger", lambda scene, label: max(scene.objects, key=lambda thing: thing.radius).shape == label),
        (
            "scene-thing",
            lambda scene, label: (
                label == "{0.colour} {0.shape}".format(max(scene.objects, key=lambda thing: thing.radius))
                and len({t.colour for t in scene.objects}) == len({t.shape for t in scene.objects}) == 2
            ),
        ),
        ("scene-count", lambda scene, label: ("one", "two", "three", "four", "five", "six")[len(scene.objects) - 1] == label),
        (
            "scene-position",
            lambda scene, label: label == f"row {int(scene.objects[0].y * 4) + 1} column {int(scene.objects[0].x * 4) + 1}",
        ),
        ("scene-relation", lambda scene, label: relation(*sorted(scene.objects, key=lambda thing: -thing.radius)) == label),
    ],
)
def test_labels_say_what_is_there(name: str, check) -> None:  # type: ignore[no-untyped-def]
    task = catalog.load("task", name)()
    sampler = SceneSampler(np.random.default_rng(5), "seen" if name != "scene-thing" else "all")
    for _ in range(40):
        scene, label = task.scene(sampler, "pool")
        assert check(scene, task.labels[label])


def test_new_pairs_are_new() -> None:
    task = catalog.load("task", "scene-shape-new-pairs")()
    for split, new in (("pool", False), ("test", True)):
        sampler = SceneSampler(np.random.default_rng(0), task.combinations.get(split, "seen"))
        for _ in range(40):
            scene, _label = task.scene(sampler, split)
            assert held_out(scene.objects[0].shape, scene.objects[0].colour) == new


def test_shifts_are_clusters() -> None:
    task = _task("scene-shape-styles")
    assert Counter(row.cluster for row in task.test()) == dict.fromkeys(task.test_splits, 20)
    dark = [row.inputs["image"].mean() for row in task.test() if row.cluster == "night"]
    plain = [row.inputs["image"].mean() for row in task.pool()]
    assert np.mean(dark) < 0.6 * np.mean(plain)
    assert all(row.cluster is None for row in task.pool())


def test_severity_is_a_setting() -> None:
    cls = catalog.load("task", "scene-shape-corrupted")
    images = {
        severity: next(cls(severity=severity).generate(np.random.default_rng(0), "gaussian-noise")).inputs["image"] for severity in (1, 5)
    }
    clean = next(cls().generate(np.random.default_rng(0), "pool")).inputs["image"]
    error = {severity: np.abs(image.astype(int) - clean).mean() for severity, image in images.items()}
    assert 0 < error[1] < error[5]
    with pytest.raises(InputError):
        cls(severity=6)


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    task = catalog.load("task", "digits")()
    rows, data = task.test(), load_digits()
    assert len(rows) == 599 and len(task.pool()) == 1797 - 599
    assert [row.target for row in rows] == data.target[::3].tolist()
    image = rows[3].inputs["image"]
    assert image.shape == (32, 32, 3) and np.array_equal(image[::4, ::4, 0] > 127, data.images[9] > 7.97)
    drawn = draw(task, Streams({"data": 0}).rng("data", "digits"), train=Shots(per_class=4), dev=Shots(per_class=2))
    assert (len(drawn.train), len(drawn.dev)) == (40, 20)


def test_cifar10_is_read_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = Path(os.environ.get("HARNESS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (data / "images" / "cifar10_5k").is_dir():
        pytest.skip("no CIFAR-10 at HARNESS_TEST_DATA/images/cifar10_5k")
    pytest.importorskip("PIL", reason="CIFAR-10's files are JPEG: needs the extra `vision`")
    task = catalog.load("task", "cifar10-local")()
    assert (len(task.pool()), len(task.test())) == (4000, 1000)
    assert Counter(row.target for row in task.test()) == dict.fromkeys(range(10), 100)
    assert all(row.inputs["image"].shape == (32, 32, 3) for row in task.test())
    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        catalog.load("task", "cifar10-local")().test()


def test_cifar10_says_which_picture_is_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="needs the extra `vision`")
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "images" / "cifar10_5k"
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        pyarrow.parquet.write_table(pyarrow.table({"image": [b"no picture"], "label": [0]}), folder / f"{name}.parquet")
    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        catalog.load("task", "cifar10-local")().pool()
