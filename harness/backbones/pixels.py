"""From a picture to what a vision model reads: size, cut and scale by the model's own preprocessor_config.json. Needs no image library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.errors import InputError

FILE = "preprocessor_config.json"
_MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers, which the hub's files use


def picture(inputs: Mapping[str, Any]) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] the image among an example's inputs."""
    image = inputs.get("image")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"a {type(image).__name__}" if not isinstance(image, np.ndarray) else f"{image.dtype} {list(image.shape)}"
        raise InputError(f"the example's image is {found}", key="inputs.image", expected="a uint8 array [height, width, 3]")
    return image


@dataclass(frozen=True)
class Pixels:
    """How pictures become float32 [B, 3, h, w]. size : (h, w), or the length of the shorter edge; None leaves pictures as they are.

    crop : (h, w) cut from the middle after resizing. Resizing is PyTorch's with antialiasing, rounded to whole levels as Pillow's is;
    the two differ by at most a level or so in 256.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    scale: float = 1 / 255
    size: tuple[int, int] | int | None = None
    crop: tuple[int, int] | None = None
    mode: str = "bilinear"

    @classmethod
    def of(cls, folder: Path) -> Pixels:
        """What the model's folder says. InputError where it says nothing: a guess would be silently wrong."""
        file = folder / FILE
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            return cls._parse(said)
        except FileNotFoundError:
            raise InputError("is missing", file=file, expected="a vision model's folder says there how its pictures are scaled") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"is damaged: {' '.join(str(error).split())[:200]}", file=file) from None

    @classmethod
    def _parse(cls, said: Mapping[str, Any]) -> Pixels:
        normalised = said.get("do_normalize", True)
        size = _size(said.get("size")) if said.get("do_resize", True) else None
        crop = _size(said.get("crop_size")) if said.get("do_center_crop") else None
        if size is not None and said.get("crop_pct"):  # ConvNext's processor: below 384 the resized picture is larger, and cut
            edge = size if isinstance(size, int) else size[0]
            size, crop = (int(edge / float(said["crop_pct"])), (edge, edge)) if edge < 384 else ((edge, edge), None)
        return cls(
            mean=tuple(map(float, said["image_mean"])) if normalised else (0.0, 0.0, 0.0),
            std=tuple(map(float, said["image_std"])) if normalised else (1.0, 1.0, 1.0),
            scale=float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0,
            size=size,
            crop=(crop, crop) if isinstance(crop, int) else crop,
            mode=_MODES.get(int(said.get("resample", 2)), "bilinear"),
        )

    def __call__(self, images: Sequence[NDArray[np.uint8]], device: torch.device) -> Tensor:
        """float32 [B, 3, h, w] on `device`. InputError where the pictures end up in different sizes."""
        parts = [self._fitted(torch.tensor(image).permute(2, 0, 1)) for image in images]
        if len({part.shape for part in parts}) > 1:
            raise InputError("pictures of different sizes in one batch", key="inputs.image", expected="one size, or a model that resizes")
        batch = torch.stack(parts).to(device).float() * self.scale
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (batch - mean) / std

    def _fitted(self, image: Tensor) -> Tensor:
        """uint8 [3, H, W] -> uint8 [3, h, w]."""
        if self.size is not None:
            image = self._resized(image, self.size)
        if self.crop is not None:
            height, width = self.crop
            missing = (max(0, width - image.shape[2]), max(0, height - image.shape[1]))
            if any(missing):
                image = functional.pad(image, (missing[0] // 2, -(-missing[0] // 2), missing[1] // 2, -(-missing[1] // 2)))
            top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
            image = image[:, top : top + height, left : left + width]
        return image

    def _resized(self, image: Tensor, size: tuple[int, int] | int) -> Tensor:
        height, width = image.shape[1:]
        if isinstance(size, int):
            shorter = min(height, width)
            size = (size, int(size * width / height)) if height == shorter else (int(size * height / width), size)
        if size == (height, width):
            return image
        smooth = {} if self.mode == "nearest" else {"antialias": True, "align_corners": False}
        resized = functional.interpolate(image[None].float(), size=size, mode=self.mode, **smooth)[0]
        return resized.round().clamp(0, 255).to(torch.uint8)


def _size(said: Any) -> tuple[int, int] | int | None:
    """A size as the hub's files write it: 224, {"height": h, "width": w} or {"shortest_edge": s}."""
    if isinstance(said, Mapping):
        return (int(said["height"]), int(said["width"])) if "height" in said else int(said["shortest_edge"])
    return None if said is None else (int(said), int(said)) if not isinstance(said, (list, tuple)) else (int(said[0]), int(said[1]))
