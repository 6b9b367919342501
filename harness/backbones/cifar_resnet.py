"""The ResNets for CIFAR of He et al. (arXiv 1512.03385, section 4.2): 6n+2 layers, three stages, shortcuts without parameters (option A).

transformers has no such model: its ResNet starts with a 7 x 7 convolution of stride 2 and a pooling, which a picture of 32 pixels does not
survive. Weights are named as in the widely used PyTorch port (conv1, bn1, layer1.0.conv1, ..., linear), so that its files load as they are.
config.json: {"model_type": "cifar_resnet", "widths": [16, 32, 64], "blocks_per_stage": 3, "id2label": {"0": "airplane", ...}}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import InputError


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: where the shape changes, every second pixel of it, padded with zero channels."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.added = stride, width - before

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.added:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return functional.relu(y + x)


class CifarResNet(nn.Module):
    """[B, 3, h, w] -> logits [B, C]; `pooled` gives the vectors [B, widths[-1]] before the head."""

    def __init__(self, widths: Sequence[int], blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for number, width in enumerate(widths, start=1):
            stage = [Block(before if i == 0 else width, width, 2 if i == 0 and number > 1 else 1) for i in range(blocks)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            before = width
        self.stages, self.linear = len(widths), nn.Linear(before, classes)

    @classmethod
    def of(cls, config: Mapping[str, Any], file: object) -> CifarResNet:
        """The model that config.json describes."""
        try:
            return cls([int(w) for w in config["widths"]], int(config["blocks_per_stage"]), len(config["id2label"]))
        except (KeyError, TypeError, ValueError) as error:
            expected = "widths, blocks_per_stage and id2label"
            raise InputError(f"does not describe a cifar_resnet: {error}", file=str(file), expected=expected) from None

    def pooled(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return torch.mean(x, dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.pooled(x))  # type: ignore[no-any-return]
