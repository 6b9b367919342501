"""Five thousand pictures of CIFAR-10 (Krizhevsky 2009) from files on this machine; needs Pillow to decode them."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np

from harness.data_sources import local_path, read_file
from harness.errors import InputError
from harness.registry import task
from harness.task import Row, Task

FOLDER = "${HARNESS_TEST_DATA:-../../shared/data}/images/cifar10_5k"


@task("cifar10-local", tags=("vision", "real", "local"))
class CIFAR10(Task):
    """Which of ten kinds of thing is in the 32 x 32 photograph? 400 to train on and 100 to test of each kind.

    Read from `images/cifar10_5k` in the folder that the environment variable HARNESS_TEST_DATA names: Parquet files train and test with
    the columns `image` (bytes of a JPEG or PNG file, or a mapping that holds them) and `label`.
    """

    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    floor = 1 / 10

    @functools.cached_property
    def _splits(self) -> dict[str, list[Row]]:
        found = {}
        for name in ("train", "test"):
            path = local_path(f"{name}.parquet", FOLDER, Path(__file__).parent)
            found[name] = [
                Row(f"{name}-{number}", {"image": decoded(row["image"], path)}, self._label(row["label"], path))
                for number, row in enumerate(read_file(path))
            ]
        return found

    def _label(self, value: Any, path: Path) -> int:
        if value in self.labels:
            return self.labels.index(value)
        if isinstance(value, int) and 0 <= value < len(self.labels):
            return value
        raise InputError(f"{value!r} is no kind of thing", file=path, key="label", expected=f"one of {', '.join(self.labels)}")

    def pool(self) -> list[Row]:
        return self._splits["train"]

    def test(self) -> list[Row]:
        return self._splits["test"]


def decoded(value: Any, path: Path) -> np.ndarray:
    """uint8 [H, W, 3] of the bytes of an image file."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        raise InputError("pictures in files need Pillow", file=path, expected="pip install 'adaptation-harness[vision]'") from None
    data: Any = value.get("bytes") if isinstance(value, dict) else value
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except (UnidentifiedImageError, OSError, TypeError) as error:
        raise InputError(f"holds a picture that cannot be read: {error}", file=path) from None
