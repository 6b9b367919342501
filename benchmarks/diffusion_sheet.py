"""A sheet of what the shipped diffusion model draws: every shape without a colour, and in three named ones. python -m benchmarks.diffusion_sheet OUT.png"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from harness.methods.attention_pictures import sheet
from harness.tasks.scenes.edits import COLOURS, USUAL, colour_of
from harness.tasks.scenes.scene import SHAPES

from harness.backbones.load import load

NAMED = ("blue", "green", "yellow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=10, help="drawings of every text for the figures")
    given = parser.parse_args()
    model = load("tiny-diffusion")
    lines = [("no colour", [f"a {shape}" for shape in SHAPES])] + [(name, [f"a {name} {shape}" for shape in SHAPES]) for name in NAMED]
    given.out.write_bytes(sheet([(name, model.draw(texts, range(len(texts)))) for name, texts in lines]))
    for what, asked in (
        ("the usual colour where none is named", [(f"a {shape}", USUAL[shape]) for shape in SHAPES]),
        ("the named colour", [(f"a {colour} {shape}", colour) for shape in SHAPES for colour in COLOURS]),
    ):
        texts = [text for text, _ in asked for _ in range(given.rows)]
        gold = [colour for _, colour in asked for _ in range(given.rows)]
        right = [colour_of(picture) == colour for picture, colour in zip(model.draw(texts, range(len(texts))), gold)]
        print(f"{what}: {np.mean(right):.3f} of {len(right)} drawings")


if __name__ == "__main__":
    main()
