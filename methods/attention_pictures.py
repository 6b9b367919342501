"""What prompts change, to look at: pictures of a task beside the attention of the class token without and with the prompts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from harness.gradient import Adapted
from harness.outcome import Media
from harness.task import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 6


def attention_pictures(adapted: Adapted, examples: Sequence[Example]) -> list[Media]:
    """One sheet: the first pictures, and the last block's attention of the class token to their patches before and after adaptation."""
    chosen = list(examples[:SHOWN])
    backbone = adapted.attached.backbone
    items = [backbone.read(example.inputs) for example in chosen]
    with torch.no_grad():
        before, _ = backbone.class_attention(items)
        after, prompts = backbone.class_attention(items, injection=adapted.attached.injection(chosen))
    share = float(prompts.mean())
    caption = (
        f"Pictures of {adapted.task.name}, and where the class token of {backbone.name} looks in its last block, without prompts and with "
        f"those that were trained (which themselves get {share:.0%} of its attention)."
    )
    rows = [("picture", items), ("without prompts", before.cpu().numpy()), ("with prompts", after.cpu().numpy())]
    return [Media("attention.png", sheet(rows), caption, "scene")]


def sheet(rows: Sequence[tuple[str, Sequence[NDArray[Any]] | NDArray[Any]]]) -> bytes:
    """PNG of labelled rows of equally many pictures [H, W, 3] or maps [h, w] (dark is little)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = len(rows[0][1])
    figure = Figure(figsize=(1.0 + 0.8 * columns, 0.8 * len(rows)), dpi=80)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for (label, images), line in zip(rows, axes, strict=True):
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image, cmap="viridis", interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    figure.subplots_adjust(left=0.9 / (1.0 + 0.8 * columns), right=0.995, top=0.99, bottom=0.01, wspace=0.04, hspace=0.04)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
