"""What running a trial gives: a status with its reason, scores, per-example records, costs and the learning curve."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.costs import Costs
from harness.metrics import get
from harness.predictions import Predictions
from harness.task import Row, Task

STATUSES = ("ok", "failed", "diverged", "out_of_memory", "timed_out")
FINAL = ("ok", "diverged")  # asked again, an equal run_key would answer the same; other statuses are tried again


@dataclass
class Outcome:
    """One finished trial, before it is stored.

    scores : metric -> value or None where undefined.  records : one row per test example (see `records_of`).
    facts : digests of the rows drawn, notes of the method, versions: JSON-able.
    """

    status: str
    reason: str | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    dev_score: float | None = None
    records: pd.DataFrame | None = None
    curve: pd.DataFrame | None = None
    costs: Costs = field(default_factory=Costs)
    facts: dict[str, Any] = field(default_factory=dict)
    shared_prompt: str = ""
    log: str = ""
    predictor: Any = None

    def result(self) -> dict[str, Any]:
        """The JSON part."""
        return {
            "status": self.status,
            "reason": self.reason,
            "scores": self.scores,
            "dev_score": self.dev_score,
            "costs": asdict(self.costs),
            "facts": self.facts,
            "shared_prompt": self.shared_prompt,
        }


def records_of(predictions: Predictions, rows: tuple[Row, ...], task: Task) -> pd.DataFrame:
    """One row per test example: example, cluster, gold, prediction, output, prompt, scores, tokens, stop, and `stat:<metric>` lists."""
    gold = [_shown(row.target, task) for row in rows]
    if predictions.scores is not None:
        predicted = [_shown(int(index), task) for index in predictions.classes]
    elif predictions.texts is not None:
        predicted = list(predictions.texts)
    else:
        predicted = [str(value) for value in (predictions.values if predictions.values is not None else [])]
    frame = pd.DataFrame(
        {
            "example": list(predictions.ids),
            "cluster": [row.cluster for row in rows],
            "gold": gold,
            "prediction": predicted,
            "output": list(predictions.raw_texts) if predictions.raw_texts is not None else None,
            "prompt": list(predictions.prompts) if predictions.prompts is not None else None,
            "tokens": list(predictions.tokens) if predictions.tokens is not None else None,
            "stop": list(predictions.stops) if predictions.stops is not None else None,
        }
    )
    frame["scores"] = list(predictions.scores) if predictions.scores is not None else None
    frame["value"] = predictions.values if predictions.values is not None else np.nan
    for name in task.metrics:
        frame[f"stat:{name}"] = list(np.asarray(get(name).statistics(predictions, rows, task), dtype=np.float64))
    return frame


def predictions_of(records: pd.DataFrame, task: Task) -> Predictions:
    """The predictions that stored records hold: what makes every stored score recomputable."""
    has = {name: name in records and records[name].notna().any() for name in ("scores", "output", "value")}
    scores = np.stack(records["scores"].to_list()).astype(np.float64) if has["scores"] else None
    texts = tuple(records["prediction"]) if task.kind == "generation" else None
    return Predictions(
        tuple(records["example"]),
        scores=scores,
        texts=texts,
        raw_texts=tuple(records["output"]) if has["output"] else None,
        values=records["value"].to_numpy(np.float64) if has["value"] else None,
    )


def _shown(target: Any, task: Task) -> str:
    if task.kind == "classification" and isinstance(target, (int, np.integer)):
        return task.labels[int(target)]
    return " | ".join(map(str, target)) if isinstance(target, (list, tuple)) else str(target)
