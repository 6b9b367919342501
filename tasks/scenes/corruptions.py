"""Damage to pictures, each in five severities, after the common corruptions of Hendrycks and Dietterich (ICLR 2019, arXiv 1903.12261).

Kinds and names are theirs; the strengths are our own, chosen for pictures of 32 pixels, and no JPEG library is needed: the
quantisation of JPEG is done on 8 x 8 cosine blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, uniform_filter1d

Field = Any  # NDArray[np.float32], which NumPy's and SciPy's functions lose
Corruption = Callable[[Field, int, np.random.Generator], Field]


def _gaussian_noise(image: Field, severity: int, rng: np.random.Generator) -> Field:
    return image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(0.05 * severity)


def _impulse_noise(image: Field, severity: int, rng: np.random.Generator) -> Field:
    draws = rng.random(image.shape[:2], dtype=np.float32)[..., None]
    share = 0.03 * severity
    return np.where(draws < share / 2, 0, np.where(draws > 1 - share / 2, 1, image)).astype(np.float32)


def _gaussian_blur(image: Field, severity: int, rng: np.random.Generator) -> Field:
    sigma = 0.4 * severity * image.shape[0] / 32
    return gaussian_filter(image, (sigma, sigma, 0)).astype(np.float32)


def _motion_blur(image: Field, severity: int, rng: np.random.Generator) -> Field:
    return uniform_filter1d(image, round((1 + 1.6 * severity) * image.shape[0] / 32), axis=1 - int(rng.integers(2))).astype(np.float32)


def _fog(image: Field, severity: int, rng: np.random.Generator) -> Field:
    cloud = gaussian_filter(rng.standard_normal(image.shape[:2]), image.shape[0] / 8, mode="wrap")
    cloud = (cloud - cloud.min()) / (np.ptp(cloud) or 1)
    thick = (0.12 * severity * (0.7 + 0.6 * cloud))[..., None].astype(np.float32)
    return image * (1 - thick) + np.float32(0.9) * thick


def _brightness(image: Field, severity: int, rng: np.random.Generator) -> Field:
    return image + np.float32(0.09 * severity)


def _contrast(image: Field, severity: int, rng: np.random.Generator) -> Field:
    mean = image.mean()
    return mean + (image - mean) * np.float32(1 - 0.17 * severity)


def _pixelate(image: Field, severity: int, rng: np.random.Generator) -> Field:
    size = image.shape[0]
    blocks = round(size * (7 - severity) / 8)
    place = ((np.arange(blocks) + 0.5) * size / blocks).astype(int)
    back = ((np.arange(size) + 0.5) * blocks / size).astype(int)
    return image[place][:, place][back][:, back]


def _jpeg(image: Field, severity: int, rng: np.random.Generator) -> Field:
    """Cosine coefficients of 8 x 8 blocks, rounded to steps that grow with frequency."""
    size = image.shape[0] // 8 * 8
    blocks = image[:size, :size].reshape(size // 8, 8, size // 8, 8, 3)
    steps = 0.04 * severity * (1 + np.add.outer(np.arange(8), np.arange(8)))[None, :, None, :, None]
    coefficients = np.round(dctn(blocks, axes=(1, 3), norm="ortho") / steps) * steps
    result = image.copy()
    result[:size, :size] = idctn(coefficients, axes=(1, 3), norm="ortho").reshape(size, size, 3)
    return result


def _occlusion(image: Field, severity: int, rng: np.random.Generator) -> Field:
    """A grey square over some part of the picture (not of the paper; after Cutout, arXiv 1708.04552)."""
    size = image.shape[0]
    side = round(size * (0.15 + 0.06 * severity))
    top, left = rng.integers(0, size - side + 1, 2)
    result = image.copy()
    result[top : top + side, left : left + side] = 0.5
    return result


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian-noise": _gaussian_noise, "impulse-noise": _impulse_noise, "gaussian-blur": _gaussian_blur, "motion-blur": _motion_blur,
    "fog": _fog, "brightness": _brightness, "contrast": _contrast, "pixelate": _pixelate, "jpeg": _jpeg, "occlusion": _occlusion,
}  # fmt: skip
SEVERITIES = (1, 2, 3, 4, 5)


def corrupted(image: Field, name: str, severity: int, rng: np.random.Generator) -> Field:
    """float32 [H, W, 3] image in [0, 1], damaged; values may leave [0, 1] (the caller clips)."""
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption {name!r}; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity} is none of 1 to 5")
    return CORRUPTIONS[name](image, severity, rng)


def corrupt(image: NDArray[np.uint8], name: str, severity: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same for any uint8 [H, W, 3] picture, real ones too."""
    damaged = corrupted(image.astype(np.float32) / 255, name, severity, rng)
    result: NDArray[np.uint8] = (np.clip(damaged, 0, 1) * 255 + 0.5).astype(np.uint8)
    return result
