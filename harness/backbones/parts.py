"""Parts that a model has beside those of its stock class: named in its config.json, put in when it is built, saved with its weights.

    "harness_parts": {"convolution": 3, "norm": "product"}

convolution : taps of a causal depthwise convolution behind every query, key and value projection (So et al. 2021, arXiv 2109.08668).
norm : "product": layer norms whose variance is mean(x (x - mean)), which is equal in exact arithmetic (ibid., appendix).
shared_query_key : true: queries are a square matrix's product with the keys, and have no projection of their own (ibid., released code).
feed_forward_norm : "after": the norm of a feed-forward branch stands at its end, before the residual is added (ibid., released code).

The last two are written for GPT-2's layers.

Only parts written here exist, so no model brings code of its own. A convolution mixes neighbours in a row of tokens: such a model's rows are
run whole and one answer a row (`Backbone.contiguous`), for rows that branch or begin with cached keys have no such neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.backbones.architectures import Architecture, architecture_of
from harness.errors import UnsupportedError

KEY = "harness_parts"
KNOWN: Mapping[str, Callable[[Any], bool]] = {
    "convolution": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "norm": lambda value: value == "product",
    "shared_query_key": lambda value: value is True,
    "feed_forward_norm": lambda value: value == "after",
}


class CausalConvolution(nn.Conv1d):
    """y[t] = sum over j < taps of w[j] x[t - j], each channel for itself, zeros before the first token; weight [channels, 1, taps].

    Starts as w[0] = 1/2 and 1/(2 taps) for the others, the start of the paper's code (for three taps 1/2, 1/6, 1/6). The last place of the weight is w[0].
    """

    def __init__(self, channels: int, taps: int, **options: Any) -> None:
        super().__init__(channels, channels, taps, groups=channels, bias=False, **options)
        self.start()

    def start(self) -> None:
        with torch.no_grad():
            self.weight.fill_(0.5 / self.kernel_size[0])
            self.weight[..., -1] = 0.5

    def mix(self, module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        """Forward hook of a projection with output [B, T, channels]."""
        channels_first = nn.functional.pad(output.transpose(1, 2), (self.kernel_size[0] - 1, 0))
        return self(channels_first).transpose(1, 2)  # type: ignore[no-any-return]


class ProductNorm(nn.LayerNorm):
    """Layer norm with mean(x (x - mean)) for the variance. Loses precision where the mean is large beside the spread."""

    def forward(self, input: Tensor) -> Tensor:
        centred = input - input.mean(-1, keepdim=True)
        variance = (input * centred).mean(-1, keepdim=True)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class SharedQueryKey(nn.Module):
    """In place of GPT-2's packed projection [B, T, width] -> [B, T, 3 width]: keys K, values V, and queries A K without a bias.

    A convolution, where there is one, stands behind `projection`: once for what queries and keys share, once for the values.
    A starts with variance 1 / width, so that queries start as long as keys; keys and values start as the packed projection's.
    """

    def __init__(self, packed: nn.Module) -> None:
        super().__init__()
        weight, bias = packed.get_parameter("weight"), packed.get_parameter("bias")  # GPT-2's layer is transposed: [width, 3 width]
        width = weight.shape[0]
        options: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        self.projection = nn.Linear(width, 2 * width, **options)
        self.query = nn.Linear(width, width, bias=False, **options)
        with torch.no_grad():
            self.projection.weight.copy_(weight[:, width:].T)
            self.projection.bias.copy_(bias[width:])
            self.query.weight.normal_(std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        keys, values = self.projection(x).chunk(2, dim=-1)
        return torch.cat([self.query(keys), keys, values], dim=-1)


class NormAfter(nn.Module):
    """A norm moved from the beginning of a branch to its end: lets the branch's input through, and norms its output as a forward hook."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return x

    def after(self, module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        return self.norm(output)  # type: ignore[no-any-return]


def parts_of(config: Any) -> Mapping[str, Any]:
    """The parts that a transformers config names; UnsupportedError for one that is not written here."""
    parts: Mapping[str, Any] = getattr(config, KEY, None) or {}
    for name, value in parts.items():
        if name not in KNOWN or not KNOWN[name](value):
            raise UnsupportedError(f"config.json names the part {name}: {value!r}, which is not known")
    return parts


def with_parts(cls: type[Any]) -> type[Any]:
    """A subclass of a transformers model class that puts in the parts its config names. It saves under the stock class's name."""
    return type(cls.__name__, (_WithParts, cls), {})


class _WithParts:
    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)  # type: ignore[call-arg]  # the model class stands behind it
        put_in(self, config)  # type: ignore[arg-type]

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, CausalConvolution):
            module.start()
        else:
            super()._init_weights(module)  # type: ignore[misc]


def put_in(model: nn.Module, config: Any) -> None:
    """Put the parts that `config` names into a model of its stock class."""
    parts, architecture = parts_of(config), architecture_of(config)
    layers = model.get_submodule(_joined(architecture.base, architecture.layers))
    if architecture.name != "gpt2" and {"shared_query_key", "feed_forward_norm"} & set(parts):
        raise UnsupportedError(f"the parts shared_query_key and feed_forward_norm are not written for {architecture.name}")
    for layer in layers.children() if parts else ():
        if "shared_query_key" in parts:
            layer.set_submodule(architecture.query, SharedQueryKey(layer.get_submodule(architecture.query)))
        if "convolution" in parts:
            _convolve(layer, architecture, parts["convolution"])
        if "norm" in parts:
            for path in architecture.norms:
                layer.set_submodule(path, _product(layer.get_submodule(path)))
        if "feed_forward_norm" in parts:
            _norm_after(layer, architecture)
    if "norm" in parts and architecture.final_norm:
        path = _joined(architecture.base, architecture.final_norm)
        model.set_submodule(path, _product(model.get_submodule(path)))


def _joined(*paths: str) -> str:
    return ".".join(path for path in paths if path)


def _convolve(layer: nn.Module, architecture: Architecture, taps: int) -> None:
    for path in dict.fromkeys((architecture.query, architecture.key, architecture.value)):
        projection = layer.get_submodule(path)
        projection = projection.projection if isinstance(projection, SharedQueryKey) else projection
        channels = int(getattr(projection, "nf", 0) or projection.out_features)  # type: ignore[arg-type]  # GPT-2's transposed layer says nf
        convolution = CausalConvolution(channels, taps)
        projection.add_module("convolution", convolution)
        projection.register_forward_hook(convolution.mix)  # a bound method: copied together with its module


def _norm_after(layer: nn.Module, architecture: Architecture) -> None:
    path, branch = architecture.norms[-1], architecture.feed_forward_out.rpartition(".")[0]
    moved = NormAfter(layer.get_submodule(path))
    layer.set_submodule(path, moved)
    layer.get_submodule(branch).register_forward_hook(moved.after)


def _product(norm: nn.Module) -> ProductNorm:
    if not isinstance(norm, nn.LayerNorm):
        raise UnsupportedError(f"the part norm takes the place of layer norms, not of {type(norm).__name__}")
    made = ProductNorm(norm.normalized_shape, norm.eps)
    made.load_state_dict(norm.state_dict())
    return made
