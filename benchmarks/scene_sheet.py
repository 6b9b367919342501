"""The sample sheet of docs/scenes.md: shapes, materials, styles and corruptions of the scenes, each with its name.

python -m benchmarks.scene_sheet docs/pictures/scenes.png
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
from harness.tasks.scenes.captions import caption
from harness.tasks.scenes.corruptions import CORRUPTIONS
from harness.tasks.scenes.render import Picture, render
from harness.tasks.scenes.scene import SHAPES, TEXTURES, SceneSampler
from harness.tasks.scenes.styles import STYLES
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = 10


def rows() -> list[list[tuple[str, Picture]]]:
    """Named pictures, a line each for shapes, materials, scenes with their captions, styles and corruptions."""
    sampler = SceneSampler(np.random.default_rng(11))
    shapes = [(name, render(sampler.of(sampler.object(shapes=[name], sizes=["big", "huge"])))) for name in SHAPES]
    textures = [(name, render(sampler.of(sampler.object(shapes=["box", "ball"], textures=[name], sizes=["huge"])))) for name in TEXTURES]
    said = [(textwrap.fill(caption(scene), 17), render(scene)) for scene in map(sampler.scene, (2, 2, 3, 3))]
    shown = sampler.scene(3)
    styles = [(name, render(shown, style=name)) for name in STYLES]
    damaged = [(name, render(shown, corruption=name, severity=4)) for name in CORRUPTIONS]
    return [shapes, textures + said, styles, damaged]


def main(path: Path) -> None:
    lines = rows()
    figure = Figure(figsize=(10, 1.35 * len(lines)), dpi=80)
    FigureCanvasAgg(figure)
    for axes, line in zip(figure.subplots(len(lines), COLUMNS), lines, strict=True):
        for axis in axes:
            axis.axis("off")
        for axis, (name, image) in zip(axes, line, strict=False):
            axis.imshow(image, interpolation="nearest")
            axis.set_title(name, fontsize=6.5, pad=2)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.94, bottom=0.01, wspace=0.06, hspace=0.3)
    figure.savefig(path, format="png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    main(parser.parse_args().path)
