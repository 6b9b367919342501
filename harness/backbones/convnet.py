"""Convolutional image classifiers with batch normalisation: ResNets of the hub (transformers' classes) and the ResNets for CIFAR.

What they offer beside features are the logits of their own head (over the classes they were trained on) and their normalisation layers,
whose statistics may be taken from the batch that is being answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness.backbones import files
from harness.backbones.capabilities import EXPECTED, NORM_STATISTICS
from harness.backbones.cifar_resnet import CifarResNet
from harness.backbones.describe import BackboneInfo
from harness.backbones.pixels import Pixels, picture
from harness.backbones.pretrained import Pretrained
from harness.errors import InputError, UnsupportedError

Picture = NDArray[np.uint8]


class Norm(nn.BatchNorm2d):
    """Batch normalisation that says itself which statistics it uses, whatever the mode of the model around it, and never changes them.

    prior : None uses the running statistics of the source. A number N mixes them with those of a batch of n pictures as
        N / (N + n) source + n / (N + n) batch (Schneider et al. 2020, arXiv 2006.16971, eq. 3); 0 uses the batch's alone.
    Training every weight (full fine-tuning) therefore keeps the source's running statistics, as is usual with few examples: what is
    trained are parameters alone, and saving those is enough.
    """

    prior: float | None = None

    def train(self, mode: bool = True) -> Norm:
        super().train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.prior is None:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        if self.prior == 0:
            return functional.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        assert self.running_mean is not None and self.running_var is not None
        share = len(x) / (len(x) + self.prior)
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        mean = share * mean + (1 - share) * self.running_mean
        variance = share * variance + (1 - share) * self.running_var
        scale = self.weight / torch.sqrt(variance + self.eps)
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


class ConvNet(Pretrained):
    """One loaded classifier. classes : names of what its head tells apart, in the order of its logits."""

    def __init__(
        self, *, name: str, model: nn.Module, pixels: Pixels, classes: Sequence[str], identity: dict[str, Any] | None = None
    ) -> None:
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = Norm
        has_norms = any(isinstance(module, Norm) for module in model.modules())
        capabilities = EXPECTED["convnet"] - (frozenset() if has_norms else {NORM_STATISTICS})
        super().__init__(name=name, family="convnet", model=model, capabilities=capabilities, identity=identity)
        self.pixels, self.classes = pixels, tuple(classes)
        self.width = _head(model).in_features
        if _head(model).out_features != len(self.classes):
            raise InputError(f"{name} has {_head(model).out_features} logits and {len(self.classes)} class names", key="id2label")

    @property
    def norms(self) -> dict[str, Norm]:
        """The normalisation layers by name, in the order of the model."""
        return {name: module for name, module in self.model.named_modules() if isinstance(module, Norm)}

    def use_statistics(self, prior: float | None) -> None:
        """Which statistics all norms of this fork use (see `Norm.prior`)."""
        for norm in self.norms.values():
            norm.prior = prior

    def read(self, inputs: Mapping[str, Any]) -> Picture:
        return picture(inputs)

    def shown(self, inputs: Mapping[str, Any]) -> str:
        return ""

    def features(self, items: Sequence[Picture], *, pooling: Any = None, injection: Any = None) -> Tensor:
        """float [B, width] mean over the last feature map of each picture, differentiable."""
        if injection is not None:
            raise UnsupportedError("a convolutional network takes no prompt vectors")
        x = self._seen("features", items)
        model = self.model
        if isinstance(model, CifarResNet):
            return model.pooled(x)
        trunk: Any = model.base_model
        return cast(Tensor, trunk(x).pooler_output.flatten(1))

    def logits(self, items: Sequence[Picture]) -> Tensor:
        """float [B, C] of the model's own head, differentiable."""
        found: Any = self.model(self._seen("logits", items))
        return cast(Tensor, found if isinstance(found, Tensor) else found.logits)

    def _seen(self, kind: str, items: Sequence[Picture]) -> Tensor:
        """The pixels of the items; the meter is told. A convolution has no tokens: a picture counts as one."""
        x = self.pixels(items, self.device).to(next(self.model.parameters()).dtype)
        self.meter.forward(kind, len(items), x.shape[2] * x.shape[3], len(items))
        return x


def _head(model: nn.Module) -> nn.Linear:
    found = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not found:
        raise UnsupportedError("the model has no classification head")
    return found[-1]


def load(info: BackboneInfo, device: torch.device) -> ConvNet:
    """The classifier in `info.folder`; `info.untrained` draws the weights of the same shape from that seed."""
    assert info.folder is not None
    files.check_weights(info.folder)
    config = files.config_of(info.folder)
    names = config.get("id2label")
    if not isinstance(names, Mapping) or not names:
        raise InputError("names no classes", file=info.folder / "config.json", key="id2label", expected='{"0": "cat", "1": "dog", ...}')
    model = _cifar(info, config) if config.get("model_type") == "cifar_resnet" else _of_transformers(info)
    classes = [str(names[key]) for key in sorted(names, key=int)]
    return ConvNet(name=info.name, model=model.to(device), pixels=Pixels.of(info.folder), classes=classes, identity=info.identity)


def _cifar(info: BackboneInfo, config: Mapping[str, Any]) -> CifarResNet:
    from safetensors.torch import load_file

    assert info.folder is not None
    model = _drawn(info, lambda: CifarResNet.of(config, info.folder))
    if info.untrained is None:
        try:
            report = model.load_state_dict(load_file(files.weight_files(info.folder)[0]), strict=False)
        except RuntimeError as error:
            raise _unfit(info, error) from None
        missing = [name for name in report.missing_keys if not name.endswith("num_batches_tracked")]
        if missing or report.unexpected_keys:
            raise _unfit(info, ValueError(f"missing {missing[:2]}, unknown {report.unexpected_keys[:2]}"))
    converted: CifarResNet = model.to(getattr(torch, info.dtype))
    return converted


def _of_transformers(info: BackboneInfo) -> Any:
    from transformers import AutoConfig, AutoModelForImageClassification

    from harness.backbones.load import _quiet

    assert info.folder is not None
    dtype = getattr(torch, info.dtype)
    with _quiet():
        config = AutoConfig.from_pretrained(info.folder)
        if info.untrained is not None:
            return _drawn(info, lambda: AutoModelForImageClassification.from_config(config, dtype=dtype))
        try:
            model, report = AutoModelForImageClassification.from_pretrained(
                info.folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise _unfit(info, error) from None
    missing = sorted(name for name in report["missing_keys"] if not name.endswith("num_batches_tracked"))
    if missing:
        raise _unfit(info, ValueError(f"they lack {len(missing)}, first {missing[0]}"))
    return model


def _drawn(info: BackboneInfo, make: Callable[[], Any]) -> Any:
    """`make()` with initial weights from the seed `info.untrained`; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(info.untrained or 0)
        return make()


def _unfit(info: BackboneInfo, error: Exception) -> InputError:
    return InputError(f"weights do not fit the configuration: {' '.join(str(error).split())[:200]}", file=info.folder)
