"""What running a trial gives: a status with its reason, scores, per-example records, costs and the learning curve."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.costs import Costs
from harness.errors import InputError
from harness.metrics import get
from harness.predictions import Predictions
from harness.task import Row, Task

STATUSES = ("ok", "failed", "diverged", "out_of_memory", "timed_out")
FINAL = ("ok", "diverged")  # asked again, an equal run_key would answer the same; other statuses are tried again

MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_MEDIA_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True)
class Media:
    """A small picture that a trial leaves for the report: `data` is the bytes of a PNG or SVG file, `name` its file name (a slug with
    .png or .svg), `caption` what a reader sees under it and hears in its place, `kind` what it shows ("scene", "edit", "graph", ...)."""

    name: str
    data: bytes
    caption: str
    kind: str

    def __post_init__(self) -> None:
        if not _MEDIA_NAME.fullmatch(self.name) or self.suffix not in MEDIA_TYPES:
            raise InputError(f"{self.name!r} is no name of a picture", expected="a-z, 0-9, '-', '_' and '.', ending in .png or .svg")
        if not self.caption.strip():
            raise InputError(f"picture {self.name} has no caption", expected="one line that says what it shows")

    @property
    def suffix(self) -> str:
        return self.name[self.name.rfind(".") :]

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.suffix]


@dataclass
class Outcome:
    """One finished trial, before it is stored.

    scores : metric -> value or None where undefined.  records : one row per test example (see `records_of`).
    facts : digests of the rows drawn, notes of the method, versions: JSON-able.  media : pictures for the report, names unique.
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
    media: list[Media] = field(default_factory=list)
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)  # label -> {"value", "reason"} and, of some, "parts"

    def result(self) -> dict[str, Any]:
        """The JSON part; pictures are listed under facts["media"] with the names of their files."""
        pictures = [{"file": item.name, "caption": item.caption, "kind": item.kind} for item in self.media]
        return {
            "status": self.status,
            "reason": self.reason,
            "scores": self.scores,
            "dev_score": self.dev_score,
            "costs": asdict(self.costs),
            "facts": {**self.facts, "media": pictures} if pictures else self.facts,
            "shared_prompt": self.shared_prompt,
            **({"probes": self.probes} if self.probes else {}),
        }


def records_of(predictions: Predictions, rows: tuple[Row, ...], task: Task) -> pd.DataFrame:
    """One row per test example: example, cluster, gold, prediction, output, prompt, scores, tokens, stop, and `stat:<metric>` lists."""
    gold = [_shown(row.target, task) for row in rows]
    predicted: list[str | None]
    if predictions.scores is not None:
        predicted = [_shown(int(index), task) for index in predictions.classes]
    elif predictions.texts is not None:
        predicted = list(predictions.texts)
    else:
        answered: Any = (
            predictions.values if predictions.values is not None else [None] * len(predictions.ids)
        )  # measures alone have no answer
        predicted = [None if value is None else str(value) for value in answered]
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
    for name, numbers in predictions.measures.items():
        frame[f"measure:{name}"] = np.asarray(numbers, dtype=np.float64)
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
        measures={
            name.removeprefix("measure:"): records[name].to_numpy(np.float64) for name in map(str, records) if name.startswith("measure:")
        },
    )


def _shown(target: Any, task: Task) -> str:
    if task.kind == "classification" and isinstance(target, (int, np.integer)):
        return task.labels[int(target)]
    return " | ".join(map(str, target)) if isinstance(target, (list, tuple)) else str(target)
