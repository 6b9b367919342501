"""What a vision model's frozen features tell: logistic regression on them, against random weights of the same shape.

    python -m benchmarks.vision_probe tiny-vit-mae

Rows of a task's pool alone, never of its test, in five parts without a common row; of each part three fifths train and the rest score.
Intervals are t intervals over the five parts, of the difference paired by part.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from harness.reports.statistics.intervals import mean_interval
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from harness import catalog
from harness.backbones.load import load
from harness.task import Row

TASKS = ("scene-shape", "scene-colour", "scene-texture", "scene-count", "scene-position", "digits")
PARTS, LARGEST = 5, 400  # how many, and rows of one at most


def features(backbone: Any, rows: Sequence[Row]) -> np.ndarray:
    """float32 [rows, width]."""
    items = [backbone.read(row.inputs) for row in rows]
    with torch.no_grad():
        return np.concatenate([backbone.features(items[i : i + 50]).numpy() for i in range(0, len(items), 50)])


def accuracies(backbone: Any, rows: Sequence[Row]) -> np.ndarray:
    """float64 [PARTS] of logistic regression on standardised features."""
    size = min(LARGEST, len(rows) // PARTS)
    seen, targets = features(backbone, rows[: PARTS * size]), np.array([row.target for row in rows[: PARTS * size]])
    found = []
    for start in range(0, PARTS * size, size):
        train, dev = slice(start, start + size * 3 // 5), slice(start + size * 3 // 5, start + size)
        scale = StandardScaler().fit(seen[train])
        model = LogisticRegression(C=0.1, max_iter=300).fit(scale.transform(seen[train]), targets[train])
        found.append(float(model.score(scale.transform(seen[dev]), targets[dev])))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", help="a name, or a folder with a slash in it")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    named = {"folder" if "/" in given.backbone else "name": given.backbone}
    models = load(named), load({**named, "untrained": 0})
    print("| task | this model | random weights | difference | chance |\n|---|---|---|---|---|")
    for name in given.tasks:
        task = catalog.load("task", name)()
        rows = [task.pool()[i] for i in np.random.default_rng(0).permutation(len(task.pool()))]
        trained, random = (accuracies(model, rows) for model in models)
        apart = mean_interval(trained - random)
        shown = f"{apart.estimate:+.2f} [{apart.ci_low:+.2f}, {apart.ci_high:+.2f}]"
        print(f"| {name} | {trained.mean():.2f} | {random.mean():.2f} | {shown} | {1 / len(task.labels):.2f} |", flush=True)


if __name__ == "__main__":
    main()
