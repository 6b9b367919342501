"""What comes out of the feed-forward layers' activation functions, watched while a model runs.

Where they sit is data (`Architecture.feed_forward_out`): the activation's output is what the second projection reads, in plain
feed-forward layers (BERT, GPT-2, OPT, T5) and in gated ones (LLaMA, gated T5), where it is the product with the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from harness.errors import UnsupportedError

Side = Literal["encoder", "decoder"]
Watch = Callable[[Side, int, Tensor], None]  # side, layer, activations [B, T, d_ff]


def feed_forwards(backbone: Any) -> list[tuple[Side, int, nn.Module]]:
    """The modules whose inputs are activations, with their sides and layers. UnsupportedError where no architecture says where they are."""
    architecture = getattr(backbone, "architecture", None)
    if architecture is None:
        raise UnsupportedError(f"where the feed-forward activations of a {backbone.family} backbone sit is not written down")
    paths: list[tuple[Side, str | None]] = [("encoder", architecture.feed_forward_out), ("decoder", architecture.decoder_feed_forward_out)]
    return [
        (side, layer, module.get_submodule(path))
        for side, path in paths
        if path
        for layer, module in enumerate(backbone.layer_modules(side))
    ]


@contextmanager
def watched(backbone: Any, watch: Watch) -> Iterator[None]:
    """While within, `watch` sees the activations of every feed-forward layer of every forward pass."""
    close = watching(backbone, watch)
    try:
        yield
    finally:
        close()


def watching(backbone: Any, watch: Watch) -> Callable[[], None]:
    """Start to watch; the returned function ends it."""

    def hook(side: Side, layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def tell(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            watch(side, layer, inputs[0])

        return tell

    handles = [module.register_forward_pre_hook(hook(side, layer)) for side, layer, module in feed_forwards(backbone)]

    def close() -> None:
        for handle in handles:
            handle.remove()

    return close


def per_example(values: Tensor, seen: Tensor | None, *, padding: bool) -> Tensor:
    """[B] means of values [B, T, d_ff] over units and places; without `padding` over the places that are `seen` (bool [B, T]) alone.

    Some models flatten their rows, [B T, d_ff]: `seen` says what they were. A pass over one new token for each row has no padding.
    """
    if values.ndim == 2:
        rows = seen.shape if seen is not None and seen.numel() == len(values) else (1, len(values))
        values = values.reshape(*rows, -1)
    if padding or seen is None or seen.shape != values.shape[:2]:
        return values.mean(dim=(1, 2))
    places = seen.to(values.dtype)
    return (values.mean(dim=2) * places).sum(dim=1) / places.sum(dim=1).clamp(min=1)
