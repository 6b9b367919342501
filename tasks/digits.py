"""Handwritten digits that scikit-learn carries: real pictures without a download (UCI's optical recognition of handwritten digits)."""

from __future__ import annotations

import functools

import numpy as np

from harness.registry import task
from harness.task import Row, Task

TEST_EVERY = 3  # every third digit is tested: 599 of 1,797


@task("digits", tags=("vision", "real"))
class Digits(Task):
    """Which digit is it? 8 x 8 grey pictures of 1,797 digits by 43 people, shown as 32 x 32 with three equal colours.

    The file does not say who wrote which digit, so writers stand in train and test alike.
    """

    labels = tuple("0123456789")
    floor = 1 / 10

    @functools.cached_property
    def _rows(self) -> list[Row]:
        from sklearn.datasets import load_digits

        data = load_digits()
        images = np.round(data.images * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
        return [
            Row(f"digit-{number}", {"image": np.repeat(image[..., None], 3, axis=2)}, int(target))
            for number, (image, target) in enumerate(zip(images, data.target, strict=True))
        ]

    def pool(self) -> list[Row]:
        return [row for number, row in enumerate(self._rows) if number % TEST_EVERY]

    def test(self) -> list[Row]:
        return self._rows[::TEST_EVERY]
